"""Public sets: the list, and fetching from a server of our own with right, wrong, truncated and missing files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Files, serve_files

from interjudge.datasets.public import PublicSet, cached, described, fetch, public_set, public_sets
from interjudge.errors import InputError, InterjudgeError

ONE, TWO = b"id,label\n1,a\n" * 500, b"id,label\n2,b\n" * 500


def listed(base: str, **changes: object) -> PublicSet:
    files = [
        {"path": f"data folder/{name}.csv", "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
        for name, body in (("one", ONE), ("two", TWO))
    ]
    said = {"name": "s", "title": "t", "about": "a", "licence": "MIT", "page": "p", "base": base, "files": files}
    return PublicSet.model_validate({**said, **changes})


@pytest.fixture
def server() -> Iterator[Files]:
    with serve_files({"data folder/one.csv": ONE, "data folder/two.csv": TWO}) as files:
        yield files


def left(folder: Path) -> list[bytes]:
    """What stands in the folder."""
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_files_are_fetched_once(server: Files, tmp_path: Path) -> None:
    paths = fetch(listed(server.url), tmp_path, retries=0)
    assert [path.read_bytes() for path in paths] == [ONE, TWO]
    assert [path.name for path in paths] == ["one.csv", "two.csv"]
    assert server.asked == ["data folder/one.csv", "data folder/two.csv"]
    assert fetch(listed(server.url), tmp_path, retries=0) == paths
    assert len(server.asked) == 2
    assert list(cached(listed(server.url), tmp_path).values()) == paths


def test_progress_is_told(server: Files, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    fetch(listed(server.url), tmp_path, progress=lambda *said: told.append(said))
    assert told == [("fetching s", 0, 2), ("fetching s", 1, 2), ("fetching s", 2, 2)]


def test_another_content_is_refused_and_not_kept(server: Files, tmp_path: Path) -> None:
    server.content["data folder/two.csv"] = TWO.replace(b"b", b"c")
    with pytest.raises(InterjudgeError, match=r"two\.csv: what came is not the file of the list"):
        fetch(listed(server.url), tmp_path, retries=0)
    assert left(tmp_path) == [ONE]


def test_a_file_that_is_cut_short_is_refused(server: Files, tmp_path: Path) -> None:
    """Whole by its Content-Length, half by its checksum."""
    server.content["data folder/one.csv"] = ONE[: len(ONE) // 2]
    with pytest.raises(InterjudgeError, match="not the file of the list"):
        fetch(listed(server.url), tmp_path, retries=0)
    assert left(tmp_path) == []


def test_a_connection_that_breaks_off_is_said_so_and_the_rest_is_fetched_later(server: Files, tmp_path: Path) -> None:
    server.breaks["data folder/two.csv"] = 1
    with pytest.raises(InterjudgeError, match=r"no answer from 127\.0\.0\.1"):
        fetch(listed(server.url), tmp_path, retries=0)
    assert left(tmp_path) == [ONE]
    server.asked.clear()
    fetch(listed(server.url), tmp_path, retries=0)
    assert server.asked == ["data folder/two.csv"]
    assert left(tmp_path) == [ONE, TWO]


def test_a_break_is_tried_again(server: Files, tmp_path: Path) -> None:
    server.breaks["data folder/one.csv"] = 1
    fetch(listed(server.url), tmp_path, retries=1)
    assert server.asked.count("data folder/one.csv") == 2


def test_a_damaged_file_of_the_cache_is_fetched_again(server: Files, tmp_path: Path) -> None:
    one, _ = fetch(listed(server.url), tmp_path, retries=0)
    one.write_bytes(ONE[:10])
    assert len(cached(listed(server.url), tmp_path)) == 1
    fetch(listed(server.url), tmp_path, retries=0)
    assert one.read_bytes() == ONE


def test_a_missing_file_and_a_missing_server_are_said(server: Files, tmp_path: Path) -> None:
    with pytest.raises(InterjudgeError, match="the server answers 404; the file may have moved"):
        fetch(listed(f"{server.url}/elsewhere"), tmp_path, retries=0)
    with pytest.raises(InterjudgeError, match=r"no answer from 127\.0\.0\.1 .* by other means") as found:
        fetch(listed("http://127.0.0.1:9"), tmp_path, retries=0)
    place = Path(str(found.value).split(" to ")[1].split(" by other")[0])
    place.write_bytes(ONE)  # what the message says to do
    assert list(cached(listed("http://127.0.0.1:9"), tmp_path).values()) == [place]


def test_a_folder_that_cannot_be_written_is_said(server: Files, tmp_path: Path) -> None:
    (tmp_path / "sets").write_text("a file")
    with pytest.raises(InterjudgeError, match="INTERJUDGE_CACHE"):
        fetch(listed(server.url), tmp_path, retries=0)


def test_the_list_is_whole() -> None:
    for one in public_sets().values():
        assert one.licence
        assert one.page.startswith("https://")
        for file in one.files:
            assert one.url(file).startswith(f"https://raw.githubusercontent.com/{one.repository}/")
            assert len((file.revision or one.revision) or "") == 40
        assert described(one)["files"][0]["url"] == one.url(one.files[0])
    dog = public_set("crowd-dog")
    assert dog.url(dog.files[0]).endswith("/datasets/s4_Dog%20data/answer.csv")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'purseclab'"):
        public_set("pursecab")


RAW = {
    "xstest": ("xstest", "{name}"),
    "jailbreakbench": ("jailbreakbench_artifacts", "{parts[1]}_{parts[2]}_{name}"),
    "purseclab": ("purseclab", "{name}"),
    "pyrit-violence": ("pyrit", "harm__{name}"),
    "alttest-lgbteen": ("alttest", "lgbteen__{name}"),
    "crowd-dog": ("crowd", "dog_{name}"),
}


@pytest.mark.parametrize("name", sorted(public_sets()))
def test_checksums_are_those_of_the_published_files(name: str, panels: Path) -> None:
    folder, pattern = RAW[name]
    for file in public_set(name).files:
        parts = file.path.split("/")
        path = panels.parent / "raw" / folder / pattern.format(name=parts[-1], parts=parts)
        body = path.read_bytes()
        assert (hashlib.sha256(body).hexdigest(), len(body)) == (file.sha256, file.size)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sets", "is no list of sets"),
        ("sets = 3", "is no list of sets"),
        ("", "holds no sets"),
        ('[sets.a]\ntitle = "x"', "about: Field required"),
        ('[sets.a]\nfiles = []\ntitle="t"\nabout="a"\nlicence="l"\npage="p"', "files"),
        ("{file}path='../x'", "path leaves its folder"),
        ("{file}path='/etc/passwd'", "path leaves its folder"),
        ("{file}base='file:///etc'\npath='x'", "only http and https"),
        ("{file}path='x'", "neither `base` nor `repository`"),
    ],
)
def test_a_list_of_ones_own_is_checked(tmp_path: Path, text: str, words: str) -> None:
    head = (
        "[sets.a]\ntitle='t'\nabout='a'\nlicence='l'\npage='p'\n[[sets.a.files]]\nsha256='" + "0" * 64 + "'\nsize=1\n"
    )
    (tmp_path / "sets.toml").write_text(text.replace("{file}", head))
    with pytest.raises(InputError, match=words):
        public_sets(tmp_path / "sets.toml")
