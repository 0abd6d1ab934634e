"""The verdict store keeps every finished verdict once, in one file, and says in words what is wrong with a file."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from interjudge.datasets.ids import content_hash
from interjudge.errors import InputError, InterjudgeError
from interjudge.judges.base import Judge
from interjudge.judges.runner import score
from interjudge.judges.store import STORE_VERSION, STORED, Store, read_store, store_notes


def outputs(*responses: str, ids: tuple[str, ...] = ()) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": list(ids) or [f"i{k}" for k in range(len(responses))],
            "prompt": ["Say it."] * len(responses),
            "response": list(responses),
        }
    )


def judge(name: str = "upper", label: str = "x", **more: object) -> Judge:
    """Labels everything alike; `label` is part of its identity, as a lexicon would be."""
    return Judge(
        name,
        "keyword",
        "refusal",
        (label,),
        lambda b: pl.DataFrame({"label": [label] * b.height}),
        {"label": label},
        **more,  # type: ignore[arg-type]  # test helper
    )


def verdicts(ids: pl.Series, **columns: object) -> pl.DataFrame:
    given = {"status": "ok", "label": "x", "created_at": "2025-01-01T00:00:00+00:00", **columns}
    return pl.DataFrame({"output_id": ids}).select(
        pl.lit(given.get(c), STORED[c]).alias(c) if c != "output_id" else pl.col(c) for c in STORED
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.db"


def test_every_column_comes_back_as_it_went_in(path: Path) -> None:
    given = {
        "status": ["ok", "parse_error"],
        "label": ["yes", None],
        "score": [0.1 + 0.2, None],
        "confidence": [1.0, None],
        "rationale": ["line one\nline \"two\" 'three', ü 漢 \U0001f600", ""],
        "raw": ["NUL \x00 inside", None],
        "latency_s": [0.25, 0.5],
        "input_tokens": [2**40, None],
        "output_tokens": [3, None],
        "cost_usd": [1e-7, None],
    }
    j = Judge("all", "rubric", "harm", ("yes",), lambda _: pl.DataFrame(given), {"model": "m"})
    written = score(outputs("a", "b"), [j], store=path)
    assert_frame_equal(read_store(path), written)
    for column, values in given.items():
        assert written[column].to_list() == values


def test_a_closed_store_is_one_file_and_reading_leaves_nothing_beside_it(path: Path) -> None:
    score(outputs("a"), [judge()], store=path)
    assert [p.name for p in path.parent.iterdir()] == ["verdicts.db"]
    read_store(path)
    assert [p.name for p in path.parent.iterdir()] == ["verdicts.db"]


def test_a_store_that_was_left_open_by_a_dead_process_is_whole(path: Path) -> None:
    """The log beside the file belongs to it until the next one who opens it folds it in."""
    script = (
        "import os, sys, polars as pl\n"
        "from interjudge.judges.base import Judge\n"
        "from interjudge.judges.runner import score\n"
        "def ask(b):\n"
        "    if 'b' in b['response']: os._exit(9)\n"
        "    return pl.DataFrame({'label': ['x'] * b.height})\n"
        "o = pl.DataFrame({'item_id': ['i0', 'i1'], 'prompt': ['p', 'p'], 'response': ['a', 'b']})\n"
        "score(o, [Judge('j', 'keyword', 'refusal', ('x',), ask, {}, batch_size=1)], store=sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == 9
    assert path.with_name("verdicts.db-wal").stat().st_size > 0
    assert read_store(path)["item_id"].to_list() == ["i0"]


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_synchronous_is_normal_unless_the_store_shall_survive_a_power_cut(
    path: Path, durable: bool, level: int
) -> None:
    with Store(path, durable=durable) as store:
        assert store._db.execute("PRAGMA synchronous").fetchone()[0] == level
        assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_store_that_is_open_already_is_used_and_left_open(path: Path) -> None:
    """The way to score with `durable=True`."""
    with Store(path, durable=True) as store:
        table = score(outputs("a"), [judge()], store=store)
        assert_frame_equal(score(outputs("a"), [judge()], store=store), table)
    assert_frame_equal(read_store(path), table)


def test_put_keeps_finished_verdicts_and_replaces_unfinished_ones(path: Path) -> None:
    with Store(path) as store:
        number = store.use(judge())
        frame = outputs("a", "b")
        ids = store.register(frame["item_id"], content_hash(frame, ("response",)), ("response",))
        assert store.put(number, 0, verdicts(ids[:1])) == 1
        assert store.put(number, 0, verdicts(ids[1:], status="error", label=None, raw="boom")) == 1
        # the finished one stays, the unfinished one is replaced
        assert store.put(number, 0, verdicts(ids, label="later")) == 1
        assert store.stored(number, 0, ids)["label"].to_list() == ["x", "later"]
        # an error never takes the place of a finished verdict
        assert store.put(number, 0, verdicts(ids, status="error", label=None)) == 0
        assert store.put(number, 0, verdicts(ids, label="again"), replace=True) == 2
        assert store.stored(number, 0, ids)["label"].to_list() == ["again", "again"]
        # a repeat of its own
        assert store.stored(number, 1, ids).height == 0


def test_equal_content_has_one_number_and_numbers_stay(path: Path) -> None:
    frame = outputs("a", "b", "a")
    hashes = content_hash(frame, ("prompt", "response"))
    with Store(path) as store:
        first = store.register(frame["item_id"], hashes, ("prompt", "response"))
        assert first[0] == first[2] != first[1]
        assert store.register(frame["item_id"], hashes, ("prompt", "response")).to_list() == first.to_list()
    with Store(path) as store:
        again = store.register(frame["item_id"].reverse(), hashes.reverse(), ("prompt", "response"))
        assert again.to_list() == first.reverse().to_list()


def test_an_item_whose_response_changed_shows_the_verdict_on_the_new_one(path: Path) -> None:
    length = Judge("length", "keyword", "x", (), lambda b: b.select(score=pl.col("response").str.len_chars()), {})
    score(outputs("a", "b"), [length], store=path)
    score(outputs("aaa", "b"), [length], store=path)
    assert read_store(path).select("item_id", "score").rows() == [("i0", 3.0), ("i1", 1.0)]


def test_judges_that_read_other_columns_keep_items_of_their_own(path: Path) -> None:
    by_prompt = judge("prompt", "p", reads=("prompt",))
    by_response = judge("response", "r", reads=("response",))
    table = score(outputs("a", "b"), [by_prompt, by_response], store=path)
    assert_frame_equal(read_store(path), table)
    with sqlite3.connect(path) as db:  # two equal prompts are one output to the judge that reads only them
        assert db.execute("SELECT count(*) FROM verdicts").fetchone() == (3,)
    db.close()


def test_of_one_name_with_several_hashes_the_most_recently_used_counts(path: Path) -> None:
    old, new = judge("k", "old"), judge("k", "new")
    score(outputs("a", "b"), [old], store=path)
    score(outputs("a", "b"), [new], store=path)
    assert read_store(path)["label"].to_list() == ["new", "new"]
    score(outputs("a"), [old], store=path)  # asks nothing, but is used
    assert read_store(path)["label"].to_list() == ["old", "old"]


def test_a_renamed_judge_keeps_its_verdicts(path: Path) -> None:
    score(outputs("a"), [judge("before")], store=path)
    score(outputs("a"), [judge("after")], store=path)
    assert read_store(path).select("judge", "label").rows() == [("after", "x")]


def test_two_open_stores_see_each_others_verdicts(path: Path) -> None:
    frame = outputs("a")
    with Store(path) as one, Store(path) as two:
        number = one.use(judge())
        assert number == two.use(judge())
        ids = one.register(frame["item_id"], content_hash(frame, ("response",)), ("response",))
        two.changed()
        assert not two.changed()
        one.put(number, 0, verdicts(ids))
        assert two.changed()
        assert not two.changed()
        assert two.put(number, 0, verdicts(ids, label="late")) == 0
        assert two.stored(number, 0, ids)["label"].to_list() == ["x"]


def test_what_decides_a_judge_stands_in_the_store(path: Path) -> None:
    one = judge("k", "x")
    score(outputs("a"), [one], store=path)
    with sqlite3.connect(path) as db:
        row = db.execute("SELECT judge_hash, name, kind, construct, labels, identity FROM judges").fetchone()
    db.close()
    assert row == (one.hash, "k", "keyword", "refusal", '["x"]', '{"label": "x"}')


def test_a_finished_store_is_read_in_a_place_that_cannot_be_written(path: Path) -> None:
    """Opened `immutable` where no shared memory can be put beside the file (a read-only mount)."""
    score(outputs("a"), [judge()], store=path)
    # The superuser may write everywhere: read once, so that all is imported, then become somebody else.
    script = (
        "import os, sys\n"
        "from interjudge.errors import InputError\n"
        "from interjudge.judges.store import Store, read_store\n"
        "read_store(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "print(read_store(sys.argv[2])['label'].to_list())\n"
        "try:\n    Store(sys.argv[2])\nexcept InputError as error:\n    print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:  # not under pytest's own, which is closed to other users
        place = Path(folder)
        shutil.copy(path, place / "s.db")
        (place / "s.db").chmod(0o444)
        place.chmod(0o555)
        command = [sys.executable, "-c", script, str(path), str(place / "s.db")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        place.chmod(0o755)
    assert done.stdout.splitlines()[:1] == ["['x']"], done.stderr
    assert done.stdout.splitlines()[1].startswith(f"{place / 's.db'}: cannot be")


# What is wrong with a file, in words.


def broken(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("item_id,judge\n" * 100)
    elif kind == "directory":
        path.mkdir()
    elif kind == "other program":
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE songs (title TEXT)")
        db.close()
    else:
        score(outputs(*(f"{k}" for k in range(2000))), [judge()], store=path)
        if kind == "newer":
            with sqlite3.connect(path) as db:
                db.execute(f"PRAGMA user_version = {STORE_VERSION + 1}")
            db.close()
        elif kind == "corrupt":
            data = bytearray(path.read_bytes())
            data[4096:] = b"\xff" * (len(data) - 4096)
            path.write_bytes(data)
        elif kind == "cut":
            path.write_bytes(path.read_bytes()[:5000])
        elif kind == "strange value":
            with sqlite3.connect(path) as db:
                db.execute("UPDATE verdicts SET status = 'fine' WHERE output_id = 3")
            db.close()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text", "is not a verdict store; expected an SQLite file"),
        ("directory", "is a directory"),
        ("other program", "is not a verdict store"),
        ("newer", f"newer interjudge; found store version {STORE_VERSION + 1}; expected at most"),
        ("corrupt", "the verdict store is damaged"),
        ("cut", "the verdict store is damaged"),
        ("strange value", "the verdict store is damaged"),
    ],
)
def test_a_file_that_is_no_store_is_said_in_words_and_left_as_it_was(path: Path, kind: str, words: str) -> None:
    broken(path, kind)
    before = path.read_bytes() if path.is_file() else b""
    for attempt in (lambda: score(outputs("1", "2", "3"), [judge()], store=path), lambda: read_store(path)):
        with pytest.raises(InputError, match=re.escape(words)) as caught:
            attempt()
        assert str(path) in str(caught.value)
    if path.is_file() and kind != "strange value":  # that one is a store, and notes who used it
        assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["/proc/verdicts.db", "/nowhere at all/verdicts.db"])
def test_a_place_that_cannot_be_written_is_said_in_words(place: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{place}: cannot be opened")):
        Store(place)


def test_reading_a_store_that_is_not_there_says_so_and_makes_none(path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_store(path)
    assert not path.exists()


def test_an_empty_file_becomes_a_store_but_is_none_to_read(path: Path) -> None:
    path.touch()
    with pytest.raises(InputError, match="holds no verdicts; found an empty file"):
        read_store(path)
    assert score(outputs("a"), [judge()], store=path).height == 1


def test_a_store_kept_locked_is_said_in_words(path: Path) -> None:
    Store(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(InterjudgeError, match="another process keeps the verdict store locked"):
            Store(path, timeout_s=0.1)
    finally:
        holder.close()


def test_an_empty_store_reads_as_an_empty_verdict_table(path: Path) -> None:
    Store(path).close()
    table = read_store(path)
    assert table.height == 0
    assert table.columns[:2] == ["item_id", "judge"]


def test_what_is_left_out_of_the_table_is_said(tmp_path: Path) -> None:
    """Three outputs under two older versions of x, and one under the only version of y: 6 are left out."""

    def judge(name: str, version: int) -> Judge:
        answer = pl.lit("a")
        return Judge(name, "rubric", "c", ("a",), lambda b: b.select(label=answer), {"name": name, "v": version})

    store = tmp_path / "s.db"
    items = pl.DataFrame({"item_id": ["1", "2", "3"], "prompt": "p", "response": ["a", "b", "c"]})
    score(items, [judge("x", 1)], store=store)
    assert store_notes(store) == []
    score(items, [judge("x", 2)], store=store)
    score(items, [judge("x", 3)], store=store)
    score(items[:1], [judge("y", 1)], store=store)
    assert store_notes(store) == ["6 verdicts of an older version of 'x' are left out"]
    assert read_store(store).height == 4
    score(items[:1], [judge("y", 2)], store=store)
    assert store_notes(store)[1] == "1 verdict of an older version of 'y' is left out"
    with pytest.raises(InputError, match="no such file"):
        store_notes(tmp_path / "absent.db")
