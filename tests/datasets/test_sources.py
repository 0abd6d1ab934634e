"""Files that cannot be tables: missing, empty, directories, archives, other encodings, damaged compression."""

import gzip
import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.source import open_source
from interjudge.errors import InputError

GOOD = b'{"prompt":"p","response":"r"}\n'
CSV = b"prompt,response\np,r\n"


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        read_outputs(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "outputs.jsonl").touch()
    assert refusal(tmp_path / "output.jsonl").endswith("no such file (did you mean 'outputs.jsonl'?)")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert f"the folder {str(tmp_path / 'no')!r} does not exist" in refusal(tmp_path / "no" / "o.jsonl")


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(str(tmp_path / "a\0b"))
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))


def test_a_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: is a directory; expected a file"


@pytest.mark.parametrize("where", ["os.stat", "pathlib.Path.open"])
def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    path = tmp_path / "o.jsonl"
    path.write_bytes(GOOD)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(where, refuse)
    with pytest.raises(InputError, match="cannot be read: permission denied"):
        open_source(str(path))


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("o.jsonl", b"", "the file is empty"),
        ("o.csv", b"", "the file is empty"),
        ("o.parquet", b"", "the file is empty"),
        ("o.jsonl.gz", gzip.compress(b""), "the file is empty"),
        ("o.jsonl", b"\n \n", "nothing but blanks"),
        ("o.txt", b"hello there", "the format is not known; found hello there"),
        ("o.jsonl", b"PK\x03\x04....", "found a zip archive"),
        ("o.csv", b"BZh91AY", "found a bzip2 archive"),
        ("o.parquet", b"hello there, no parquet", "is not a Parquet file; found hello there, no"),
        ("o.parquet", b"PAR1 and then nothing of it PAR1", "damaged or ends early"),
        ("o.parquet.gz", gzip.compress(b"PAR1 and so on"), "is a Parquet file inside gzip"),
        ("o.jsonl", "{}".encode("utf-16"), "byte 0: is not UTF-8 text; found UTF-16"),
        ("o.csv", CSV.decode().encode("utf-16"), "found UTF-16"),
        ("o.csv", CSV.decode().encode("utf-16-le"), "found UTF-16"),
        ("o.csv", CSV.decode().encode("utf-16-be"), "found UTF-16"),
        ("o.jsonl", GOOD * 2 + b'{"prompt":"caf\xe9","response":"r"}\n', "line 3 (byte 74): is not UTF-8 text"),
        ("o.jsonl.gz", gzip.compress(GOOD * 2 + b'{"prompt":"caf\xe9"}\n'), "line 3 (byte 74): is not UTF-8 text"),
        ("o.csv", CSV + b"caf\xe9,x\n", "line 3 (byte 23): is not UTF-8 text; found the byte 0xe9"),
        ("o.jsonl.gz", gzip.compress(GOOD * 100)[:-9], "the gzip data is damaged or ends early"),
        ("o.csv.gz", gzip.compress(CSV + os.urandom(99_999).hex().encode())[:-99], "damaged or ends early"),
        ("o.jsonl", b"SQLite format 3\0" + bytes(100), "is an SQLite file"),
    ],
)  # fmt: skip
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert message.startswith(str(tmp_path / name))
    assert part in message


def test_damaged_zstd(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl.zst"
    frame = pl.DataFrame({"prompt": [os.urandom(50).hex() for _ in range(5000)], "response": "r"})
    frame.write_ndjson(path, compression="zstd")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "the zstd data is damaged or ends early" in refusal(path)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("bad", [b"\xe9", b"\xe2\x82", b"\xff"])
def test_the_place_of_a_bad_byte_does_not_depend_on_how_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, bad: bytes
) -> None:
    monkeypatch.setattr("interjudge.datasets.source._CHUNK", size)
    start = '{"prompt":"€é😀","response":"r"}\n'.encode() * 2 + b'{"prompt":"'
    (tmp_path / "o.jsonl").write_bytes(start + bad + b'"}\n')
    assert f"line 3 (byte {len(start)}): is not UTF-8 text" in refusal(tmp_path / "o.jsonl")


def test_zstd_that_holds_no_utf8(tmp_path: Path) -> None:
    # polars writes text only; a zstd frame with one raw block is easily made by hand (RFC 8878, 3.1.1)
    text = GOOD + b'{"prompt":"\xe9","response":"r"}\n'
    frame = b"\x28\xb5\x2f\xfd\x20" + bytes([len(text)]) + (len(text) << 3 | 1).to_bytes(3, "little") + text
    (tmp_path / "o.jsonl.zst").write_bytes(frame)
    assert "is not UTF-8 text" in refusal(tmp_path / "o.jsonl.zst")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("o.jsonl", b"\xef\xbb\xbf" + GOOD),
        ("o.jsonl.gz", gzip.compress(b"\xef\xbb\xbf" + GOOD)),
        ("o.json", b"\xef\xbb\xbf[" + GOOD + b"]"),
        ("o.csv", b"\xef\xbb\xbf" + CSV),
        ("o.csv", b'\xef\xbb\xbf"prompt","response"\np,r\n'),
        ("o.csv.gz", gzip.compress(b"\xef\xbb\xbf" + CSV)),
        ("o.jsonl.gz", gzip.compress(GOOD)),
        ("o.jsonl", gzip.compress(GOOD)),  # compression is recognised by content
        ("o", GOOD),
        ("o.txt", CSV),
        ("o[1]*?.jsonl", GOOD),  # no pattern
        ("o.JSONL", GOOD),
        ("o.jsonl", GOOD.strip().replace(b",", b" ,\t") + b"\r\n"),
    ],
)
def test_what_is_a_table(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_outputs(tmp_path / name).select("prompt", "response").rows() == [("p", "r")]


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl.gz").write_bytes(gzip.compress(GOOD) + gzip.compress(GOOD.replace(b'"r"', b'"s"')))
    assert read_outputs(tmp_path / "o.jsonl.gz").height == 2


@pytest.mark.parametrize("content", [GOOD, CSV, gzip.compress(GOOD), b"[" + GOOD + b"]"])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert read_outputs("-").select("prompt", "response").rows() == [("p", "r")]


def test_standard_input_may_be_parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"prompt": ["p"], "response": ["r"]}).write_parquet(buffer)
    buffer.seek(0)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer))
    assert read_outputs("-").height == 1


def test_standard_input_is_called_so_in_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(GOOD + b"{")))
    assert refusal("-").startswith("standard input, line 2: not valid JSON")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(GOOD,))
    writer.start()
    assert read_outputs(pipe).height == 1
    writer.join()


def test_paths_that_begin_with_a_tilde_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("~o.jsonl").write_bytes(GOOD)
    assert read_outputs("~o.jsonl").height == 1
