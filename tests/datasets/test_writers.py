"""Writing: every format, atomically, and never over an input."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.write import check_target, check_targets, write_table, write_text
from interjudge.errors import InputError, InterjudgeError

FRAME = pl.DataFrame(
    {"item_id": ["a", "b"], "prompt": ["p", 'q"\r'], "response": ["", "é\x00\n,"], "model": ["m", None]}
)
NAMES = ["o.parquet", "o.jsonl", "o.ndjson", "o.csv", "o.tsv", "o.jsonl.gz", "o.jsonl.zst", "o.csv.gz", "o.csv.zst"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    write_table(FRAME, tmp_path / name)
    assert read_outputs(tmp_path / name).equals(FRAME)
    assert os.listdir(tmp_path) == [name]
    packed = (tmp_path / name).read_bytes()[:2]
    assert (packed == b"\x1f\x8b") == name.endswith(".gz")
    assert (packed == b"\x28\xb5") == name.endswith(".zst")


def test_a_list_becomes_one_text_in_csv(tmp_path: Path) -> None:
    lists = pl.DataFrame({"item_id": ["a", "b", "c"], "reasons": [["x, y", "z"], [], None], "n": [[1, 2], [3], None]})
    write_table(lists, tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text() == '"item_id","reasons","n"\n"a","x, y; z","1; 2"\n"b","","3"\n"c",,\n'


def test_lists_and_objects_go_into_jsonl_and_parquet_and_objects_not_into_csv(tmp_path: Path) -> None:
    nested = FRAME.with_columns(x=pl.Series([[1], None]), y=pl.Series([{"k": "v"}, {"k": None}]))
    for name in ("o.parquet", "o.jsonl"):
        write_table(nested, tmp_path / name)
        assert read_outputs(tmp_path / name).equals(nested)
    with pytest.raises(InputError, match="cannot be written in this format"):
        write_table(nested, tmp_path / "o.csv")
    assert sorted(os.listdir(tmp_path)) == ["o.jsonl", "o.parquet"]


def test_a_hyphen_is_json_lines_on_standard_output() -> None:
    code = (
        "import polars as pl; from interjudge.datasets.write import write_table\n"
        "write_table(pl.DataFrame({'a': ['é', None]}), '-')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert [json.loads(line) for line in result.stdout.splitlines()] == [{"a": "é"}, {"a": None}]


def test_folders_are_made(tmp_path: Path) -> None:
    write_text("x", tmp_path / "new" / "folder" / "o.txt")
    assert (tmp_path / "new" / "folder" / "o.txt").read_text() == "x"


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_text("é\r\n\n", tmp_path / "o.md")
    assert (tmp_path / "o.md").read_bytes() == b"\xc3\xa9\r\n\n"


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["itself", "symlink", "hard link"])
def test_an_input_is_never_overwritten(tmp_path: Path, link: object) -> None:
    source = tmp_path / "in.jsonl"
    write_table(FRAME, source)
    before = source.read_bytes()
    target = source
    if callable(link):
        target = tmp_path / "out.jsonl"
        link(source, target)
    with pytest.raises(InputError, match="input files are never overwritten"):
        write_table(FRAME.head(1), target, inputs=["-", tmp_path / "missing.csv", source])
    with pytest.raises(InputError, match="input files are never overwritten"):
        check_target(target, inputs=[source])
    assert source.read_bytes() == before


def test_another_path_to_the_same_input_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    write_table(FRAME, tmp_path / "in.jsonl")
    monkeypatch.chdir(tmp_path / "d")
    with pytest.raises(InputError, match="never overwritten"):
        write_table(FRAME, "../in.jsonl", inputs=[tmp_path / "in.jsonl"])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("o.txt", "found .txt; expected .parquet, .jsonl"),
        ("o", "found none"),
        ("o.json", "found .json"),
        ("o.parquet.gz", "found .parquet.gz"),
        ("o.parqet", "did you mean '.parquet'?"),
        ("folder.csv", "is a directory; expected a file"),
        ("file/o.csv", "cannot be written"),
    ],
)
def test_a_target_that_cannot_be_is_refused(tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        write_table(FRAME, tmp_path / name)
    assert part in str(caught.value)


def test_permission_denied_is_bad_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match="cannot be written: permission denied"):
        write_text("x", tmp_path / "o.txt")


@pytest.mark.parametrize("where", ["os.fsync", "os.replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "o.jsonl"
    write_table(FRAME, path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(where, fail)
    with pytest.raises(InterjudgeError, match="No space left on device") as caught:
        write_table(FRAME.head(1), path)
    assert caught.value.exit_code == 1
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["o.jsonl"]


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "o.txt"
    write_text("old", path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text("new", path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["o.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and file size limits")
def test_kill_9_in_the_middle_leaves_a_whole_file(tmp_path: Path) -> None:
    """A process writes generations of one file until it is killed; what stands there is one whole generation."""
    path = tmp_path / "o.jsonl"
    code = (
        "import sys, polars as pl\n"
        "from interjudge.datasets.write import write_table\n"
        "for k in range(10**6):\n"
        "    write_table(pl.DataFrame({'k': [k] * 50_000, 'text': ['x' * 40] * 50_000}), sys.argv[1])\n"
    )
    for delay in (0.05, 0.11, 0.17):
        path.unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            assert child.poll() is None
            time.sleep(0.01)
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        frame = pl.read_ndjson(path)
        assert frame.height == 50_000
        assert frame["k"].n_unique() == 1


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_is_a_failure_without_traceback(tmp_path: Path) -> None:
    code = (
        "import resource, sys, polars as pl\n"
        "from interjudge.datasets.write import write_table\n"
        "from interjudge.errors import InterjudgeError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    write_table(pl.DataFrame({'text': [str(i) * 9 for i in range(50_000)]}), sys.argv[1])\n"
        "except InterjudgeError as error:\n"
        "    print(error)\n"
        "    print(error.exit_code)\n"
    )
    for name in ("o.jsonl", "o.csv", "o.parquet", "o.jsonl.gz"):
        target = str(tmp_path / name)
        result = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True, check=True)
        assert "File too large" in result.stdout
        assert result.stdout.startswith(f"{target}: could not be written")
        assert result.stdout.endswith("\n1\n")  # a failure, not bad input
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_permissions_follow_the_old_file_or_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "o.txt"
    old = os.umask(0o027)
    try:
        write_text("x", path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    write_text("y", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_symlink_stays_one_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "o.txt", tmp_path / "o.txt"
    write_text("old", target)
    link.symlink_to(target)
    write_text("new", link)
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_text_is_not_written_over_an_input(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("data")
    (tmp_path / "link.json").symlink_to("in.jsonl")
    for name in ("in.jsonl", "link.json"):
        with pytest.raises(InputError, match="never overwritten"):
            write_text("x", tmp_path / name, inputs=[tmp_path / "in.jsonl"])
    assert (tmp_path / "in.jsonl").read_text() == "data"


def test_two_results_may_not_have_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.parquet").symlink_to("a.parquet")
    for other in ("a.parquet", "./a.parquet", str(tmp_path / "a.parquet"), "link.parquet"):
        with pytest.raises(InputError, match="two results would be written here"):
            check_targets(["a.parquet", other])
    with pytest.raises(InputError, match="two results"):
        check_targets(["-", "-"])
    check_targets(["a.parquet", "b.parquet", "-"])


def test_text_on_standard_output_is_utf8_whatever_the_terminal_shows() -> None:
    code = "from interjudge.datasets.write import write_text; print('first'); write_text('é\\n', '-')"
    env = {**os.environ, "PYTHONIOENCODING": "ascii:replace"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env)
    assert result.stdout.replace(b"\r", b"") == "first\né\n".encode()
