"""From tables to a report on disk: what is refused before any work, and what the report says of its origin."""

import os
import threading
from pathlib import Path

import polars as pl
import pytest

from interjudge.agreement.analysis import QuestionSpec, Tables
from interjudge.agreement.question import parse_map
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.demo import load_outputs, load_reference
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError
from interjudge.pipeline import check_folder, make_report, run_demo

QUICK = Sampling(replicates=0)
ROWS = [("1", "a", "x"), ("2", "a", "y"), ("3", "a", "x"), ("1", "b", "x"), ("2", "b", "y"), ("3", "b", "y")]


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    path = tmp_path / "v.csv"
    pl.DataFrame(ROWS, schema=["item_id", "judge", "label"], orient="row").write_csv(path)
    return path


def test_an_input_among_the_images_is_not_written_over(verdicts: Path, tmp_path: Path):
    out = tmp_path / "r"
    (out / "images").mkdir(parents=True)
    given = out / "images" / "pairs.png"
    given.write_bytes(b"mine")
    with pytest.raises(InputError, match="never overwritten"):
        make_report(Tables(read_verdicts(verdicts)), out, sampling=QUICK, inputs=[given])
    assert given.read_bytes() == b"mine"
    assert os.listdir(out) == ["images"]


def test_a_file_where_the_images_would_go_is_refused_before_anything_is_analysed(verdicts: Path, tmp_path: Path):
    (tmp_path / "images").write_bytes(b"mine")
    with pytest.raises(InputError, match="is a file"):
        make_report(Tables(read_verdicts(verdicts)), tmp_path, sampling=QUICK)
    assert (tmp_path / "images").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["report.json", "report.md", "flags.parquet", "items.parquet"])
def test_no_file_of_a_report_takes_the_place_of_an_input(verdicts: Path, tmp_path: Path, name: str):
    out = tmp_path / "r"
    out.mkdir()
    (out / name).write_bytes(b"mine")
    (tmp_path / "link").symlink_to(out / name)
    for given in (out / name, tmp_path / "link"):
        tables = Tables(read_verdicts(verdicts), sources=((str(given), None),))
        with pytest.raises(InputError, match="never overwritten"):
            make_report(tables, out, sampling=QUICK)
        with pytest.raises(InputError, match="never overwritten"):
            make_report(Tables(read_verdicts(verdicts)), out, sampling=QUICK, inputs=[given])
    assert os.listdir(out) == [name]
    assert (out / name).read_bytes() == b"mine"


def test_a_folder_that_is_a_file_is_refused_before_anything_is_read(verdicts: Path):
    with pytest.raises(InputError, match="is a file"):
        check_folder(verdicts, inputs=[])


def test_the_report_tells_every_option_that_decides_its_figures(verdicts: Path, tmp_path: Path):
    spec = QuestionSpec(
        construct="unstated", labels=("p", "q"), positive="q", level="nominal",
        maps=(parse_map("x=p"), parse_map("a::y=q"), parse_map("b::y=q")), thresholds={},
    )  # fmt: skip
    tables = Tables(read_verdicts(verdicts))
    report, _ = make_report(
        tables, tmp_path / "r", questions=[spec], sampling=QUICK, options={"judge": ["a", "b"], "gold_column": None}
    )
    assert report.provenance.options == {
        "judge": ["a", "b"],
        "questions": [
            {
                "construct": "unstated",
                "labels": ["p", "q"],
                "positive": "q",
                "level": "nominal",
                "map": ["x=p", "a::y=q", "b::y=q"],
            }
        ],
        "replicates": 0,
        "confidence": 0.95,
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_is_an_input_without_a_hash_and_does_not_hang(verdicts: Path, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(verdicts.read_bytes(),))
    writer.start()
    table = read_verdicts(pipe)
    writer.join()
    report, _ = make_report(Tables(table, sources=((str(pipe), 6), (str(verdicts), 6))), tmp_path / "r", sampling=QUICK)
    assert [file.sha256 is None for file in report.provenance.inputs] == [True, False]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "d"
    run_demo(out)
    return out


def test_the_demos_reference_goes_with_the_demos_verdicts(demo: Path, tmp_path: Path):
    reference = read_reference(demo / "reference.parquet")
    assert reference.equals(load_reference().select("item_id", "criterion", "gold"))
    tables = Tables(read_verdicts(demo / "verdicts.parquet"), reference=reference)
    report, _ = make_report(tables, tmp_path / "r", sampling=QUICK)
    measured = {q.agreement.question.construct_name: q.agreement.judges for q in report.questions}
    assert set(measured) == {"refusal", "coherence", "harm"}
    assert all(judge.accuracy is not None for judges in measured.values() for judge in judges)


def test_the_demo_may_be_made_again_in_its_own_folder(demo: Path):
    run_demo(demo)
    (demo / "report.json").unlink()  # as if it had been stopped
    run_demo(demo)


def test_the_demo_leaves_a_folder_alone_that_it_did_not_make(tmp_path: Path):
    for name, data in (("verdicts.parquet", b"mine"), ("outputs.parquet", b"no table")):
        (tmp_path / name).write_bytes(data)
        before = sorted(os.listdir(tmp_path))
        with pytest.raises(InputError, match=r"no demo made it; expected another folder \(--out\)"):
            run_demo(tmp_path)
        assert sorted(os.listdir(tmp_path)) == before
    load_outputs().head(3).write_parquet(tmp_path / "outputs.parquet")
    with pytest.raises(InputError, match="no demo made it"):
        run_demo(tmp_path)
    assert (tmp_path / "verdicts.parquet").read_bytes() == b"mine"
