"""Scoring on Ray: the same verdicts as without it, each once, also where a worker is killed; a run resumes.

Ray runs in commands of their own, with two processors, on 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from interjudge.datasets.demo import load_outputs
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError, InterjudgeError
from interjudge.judges.parts import done_outputs, mark_used, read_parts, write_part
from interjudge.judges.ray_engine import _share, score_with_ray

pytest.importorskip("ray", reason="the extra `ray` is not installed")

SAID = ["item_id", "judge", "repeat", "judge_kind", "construct", "status", "label", "score", "judge_hash"]
# A judge that is killed on its third batch, once; and that keeps count of what it was asked, for the tests.
JUDGE = """
import hashlib, os, pathlib, signal
here = pathlib.Path(__file__).parent

def parity(outputs):
    with (here / "asked").open("a") as file:
        texts = ",".join(sorted(hashlib.sha256(text.encode()).hexdigest()[:8] for text in outputs["response"]))
        file.write(f"{os.getpid()} {outputs.height} {texts}\\n")
    if len((here / "asked").read_text().splitlines()) == 3 and (here / "kill").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if any("no such text" in text for text in outputs["response"]):
        raise ValueError("one of them")
    return ["odd" if len(text) % 2 else "even" for text in outputs["response"]]

parity.labels, parity.construct, parity.version, parity.batch_size = ["even", "odd"], "parity", "1", 32
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_judges.py").write_text(JUDGE)
    outputs = load_outputs()
    outputs = outputs.with_columns(response=pl.when(pl.col("item_id") == outputs["item_id"][7])
                                   .then(pl.lit("no such text")).otherwise("response"))  # fmt: skip
    outputs.write_parquet(tmp_path / "outputs.parquet")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from interjudge.cli import main; main()", "score", *arguments]
    env = {**os.environ, "COLUMNS": "100", "RAY_ADDRESS": ""}
    del env["RAY_ADDRESS"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


@pytest.mark.slow
def test_the_same_verdicts_as_without_ray_though_a_worker_is_killed_and_nothing_is_scored_again(folder: Path):
    judges = ["-j", "my_judges:parity", "-j", "keyword:default"]
    plain = run(folder, "outputs.parquet", *judges, "--out", "plain.parquet")
    assert plain.returncode == 0, plain.stderr
    (folder / "asked").unlink()
    (folder / "kill").touch()

    done = run(folder, "outputs.parquet", *judges, "--engine", "ray", "--workers", "2", "--out", "ray.parquet")
    assert done.returncode == 0, done.stderr
    assert "wrote ray.parquet" in done.stdout
    expected = pl.read_parquet(folder / "plain.parquet").select(SAID)
    assert pl.read_parquet(folder / "ray.parquet").select(SAID).equals(expected)  # in the same order too
    assert expected["status"].value_counts(sort=True)["count"].to_list() == [719, 1]
    workers = {line.split()[0] for line in asked(folder)}
    assert len(workers) >= 2, "the batches went to several processes, one of which was killed"
    assert read_verdicts(folder / "ray.parts").height == 720, "the folder of parts is read like a store"

    before = len(asked(folder))
    one, *_ = sorted((folder / "ray.parts").rglob("*.parquet"))
    lost = pl.read_parquet(one).filter(judge="my_judges:parity")
    one.write_bytes(one.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as a part of verdicts"):
        read_verdicts(folder / "ray.parts")
    (folder / "kill").unlink()
    again = run(folder, "outputs.parquet", *judges, "--engine", "ray", "--out", "ray2.parquet", "--store", "ray.parts")
    assert again.returncode == 0, again.stderr
    assert "1 part in ray.parts could not be read, set aside" in again.stderr
    assert pl.read_parquet(folder / "ray2.parquet").select(SAID).equals(expected)
    # the one output that the judge cannot judge is asked again, with what was in the broken part, and no other
    failed = pl.read_parquet(folder / "plain.parquet").filter(status="error")["item_id"].to_list()
    outputs = pl.read_parquet(folder / "outputs.parquet")
    wanted = outputs.filter(pl.col("item_id").is_in([*failed, *lost["item_id"]]))
    texts = {text for line in asked(folder)[before:] for text in line.split()[2].split(",")}
    assert texts == {fingerprint(text) for text in wanted["response"]}


@pytest.mark.slow
def test_local_models_are_loaded_by_each_worker_and_say_the_same(folder: Path):
    """The toy guard of the tests, a real Llama architecture loaded from a folder by transformers: as a guard, and as
    the language model of a coherence judge."""
    toys = pytest.importorskip("toy_models", reason="torch and transformers are not installed")
    model = toys.toy_model("llama")
    judges = ["-j", f"guard/{model}?format=llama_guard_3&name=toy", "-j", f"coherence:lm?model={model}&dtype=float32"]
    plain = run(folder, "outputs.parquet", *judges, "--limit", "150", "--out", "plain.parquet")
    assert plain.returncode == 0, plain.stderr
    done = run(folder, "outputs.parquet", *judges, "--limit", "150", "--engine", "ray", "--workers", "2",
               "--out", "ray.parquet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = ["item_id", "judge", "status", "label", "judge_hash"]
    ours, theirs = (pl.read_parquet(folder / f"{name}.parquet") for name in ("ray", "plain"))
    assert ours.height == 300
    assert ours.select(said).equals(theirs.select(said))
    assert ours.filter(judge="toy")["label"].n_unique() == 2
    # batches of other sizes: the same to the fourth digit
    assert (ours["score"] - theirs["score"]).abs().max() < 1e-4  # type: ignore[operator]


@pytest.mark.slow
def test_outputs_and_verdicts_at_addresses_are_read_and_written_by_the_workers(folder: Path):
    outputs = pl.read_parquet(folder / "outputs.parquet").with_columns(item_id=pl.int_range(pl.len()))  # numbers
    (folder / "many").mkdir()
    for n, part in enumerate(outputs.iter_slices(100)):
        part.write_parquet(folder / "many" / f"{n}.parquet")
    where = (folder / "many").as_uri()
    whole = ["--workers", str(os.cpu_count() or 1)]  # which leaves no processor to read with
    store = ["--store", f"{folder.as_uri()}/remote"]
    done = run(folder, where, "-j", "my_judges:parity", "--engine", "ray", *store, *whole)
    assert done.returncode == 0, done.stderr
    verdicts = read_parts(f"{folder.as_uri()}/remote")
    assert sorted(verdicts["item_id"]) == sorted(outputs["item_id"].cast(pl.String))
    assert "my_judges:parity" in done.stdout  # the counts, though nothing is written here
    assert max(pl.read_parquet(part).height for part in (folder / "remote").rglob("*.parquet")) <= 32
    # the same ids with other texts are other outputs: one is scored again, nothing else
    changed = pl.read_parquet(folder / "many" / "0.parquet")
    other = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("one letter")).otherwise("response")
    changed.with_columns(response=other).write_parquet(folder / "many" / "0.parquet")
    before = len(asked(folder))
    arguments = ["-j", "my_judges:parity", "--engine", "ray", "--store", f"{folder.as_uri()}/remote", "--limit", "50"]
    again = run(folder, where, *arguments, "--out", "few.parquet")
    assert again.returncode == 0, again.stderr
    assert [line.split()[1] for line in asked(folder)[before:]][-1] == "1"
    few = pl.read_parquet(folder / "few.parquet")
    assert few["item_id"].to_list() == [str(n) for n in range(50)]
    assert few["label"][3] == "even"  # of ten letters

    none = run(
        folder, where, "-j", "keyword:default", "--engine", "ray", "--worker-gpus", "1000", "--store", "gpu.parts"
    )
    assert none.returncode == 2, "a GPU that is not there is not waited for"
    assert "Ray sees no such GPU here" in none.stderr


def test_actors_leave_a_processor_to_read_with():
    """Two of three processors; of two half of one each; of one none."""
    assert [_share(3, 2), _share(2, 2), _share(1, 1)] == [1, 0.5, 0]


OUTPUTS = pl.DataFrame({"item_id": ["a", "b"], "prompt": ["p", "q"], "response": ["r", "s"]})


def test_what_cannot_be_scored_there_is_said_before_ray_is_started(tmp_path: Path):
    with pytest.raises(InputError, match="asks a service"):
        score_with_ray(OUTPUTS, ["openai/gpt-5-mini@harm5"], tmp_path)
    with pytest.raises(InputError, match="no column 'item_id'"):
        score_with_ray(OUTPUTS.drop("item_id"), ["keyword:default"], tmp_path)
    with pytest.raises(InputError, match="reads a column 'response' that the outputs do not have"):
        score_with_ray(OUTPUTS.drop("response"), ["keyword:default"], tmp_path)
    with pytest.raises(InputError, match=r"holds no Parquet file|cannot be read as Parquet"):
        score_with_ray(str(tmp_path / "nothing"), ["keyword:default"], tmp_path)
    with pytest.raises(InputError, match="no place that pyarrow knows"):
        score_with_ray("ftp://somewhere/outputs", ["keyword:default"], tmp_path)


def test_a_cluster_that_does_not_answer_is_said_at_once(tmp_path: Path):
    with pytest.raises(InterjudgeError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        score_with_ray(OUTPUTS, ["keyword:default"], tmp_path, address="127.0.0.1:1")


def test_options_that_do_not_go_together_are_refused(folder: Path):
    for arguments, words in [
        (["--engine", "spark"], "no engine 'spark'"),
        (["--workers", "2"], "--workers belongs to --engine ray"),
        (["--engine", "ray", "--batch"], "--batch does not go with --engine ray"),
    ]:
        done = run(folder, "outputs.parquet", "-j", "keyword:default", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_of_two_verdicts_the_newer_finished_one_counts_and_of_two_hashes_the_one_used_last(tmp_path: Path):
    def part(status: str, label: str | None, judge_hash: str, at: str) -> None:
        row = {
            "item_id": "a", "judge": "j", "repeat": 0, "judge_kind": "keyword", "construct": "x", "status": status,
            "label": label, "judge_hash": judge_hash, "created_at": at,
        }  # fmt: skip
        write_part(pl.DataFrame([row]), f"{tmp_path}/{judge_hash}", pl.Series([at]))

    part("ok", "first", "h1", "2026-01-01")
    part("error", None, "h1", "2026-01-02")
    assert read_parts(tmp_path)["label"].to_list() == ["first"]
    part("ok", "second", "h1", "2026-01-03")
    assert read_parts(tmp_path)["label"].to_list() == ["second"]
    part("ok", "third", "h2", "2026-01-04")
    assert read_parts(tmp_path)["label"].to_list() == ["third"]
    assert not list(tmp_path.rglob("*.tmp"))


def one_part(folder: Path, **more: object) -> None:
    row = {
        "item_id": "a", "judge": "j", "repeat": 0, "judge_kind": "keyword", "construct": "x", "status": "ok",
        "label": "yes", "judge_hash": "h1", "output_hash": "o1", "created_at": "2026-01-01T00:00:00+00:00", **more,
    }  # fmt: skip
    write_part(pl.DataFrame([row]), f"{folder}/{row['judge_hash']}", pl.Series([row["item_id"]]))


class Named:
    """As much of a judge as a folder of parts asks for."""

    def __init__(self, judge_hash: str) -> None:
        self.hash = judge_hash


def test_a_judge_that_went_back_to_an_earlier_version_is_the_one_used_last(tmp_path: Path):
    """h2's verdicts are newer; h1, whose verdicts were all there, is used again: its name means h1 now."""
    one_part(tmp_path, label="first")
    one_part(tmp_path, label="second", judge_hash="h2", created_at="2026-01-02T00:00:00+00:00")
    assert read_parts(tmp_path)["label"].to_list() == ["second"]
    mark_used(tmp_path, Named("h1"))  # type: ignore[arg-type]
    assert read_parts(tmp_path)["label"].to_list() == ["first"]
    assert read_parts(tmp_path, [Named("h2")])["label"].to_list() == ["second"]  # type: ignore[list-item]


def test_asking_again_takes_no_finished_verdict_away(tmp_path: Path):
    """The second file has the first one's name; its verdict failed, and it has one repeat of two."""
    one_part(tmp_path)
    one_part(tmp_path, repeat=1)
    one_part(tmp_path, status="error", label=None, created_at="2026-01-02T00:00:00+00:00")
    assert read_parts(tmp_path).select("repeat", "status", "label").rows() == [(0, "ok", "yes"), (1, "ok", "yes")]


def test_a_verdict_on_another_text_under_the_same_id_does_not_count(tmp_path: Path):
    judge = Named("h1")
    one_part(tmp_path)
    assert done_outputs(tmp_path, judge, 1)[0].rows() == [("a", "o1")]  # type: ignore[arg-type]
    one_part(tmp_path, status="error", label=None, output_hash="o2", created_at="2026-01-02T00:00:00+00:00")
    assert read_parts(tmp_path)["status"].to_list() == ["error"]
    assert done_outputs(tmp_path, judge, 1)[0].rows() == []  # type: ignore[arg-type]


def test_a_broken_part_is_said_where_it_is_read_and_set_aside_where_it_is_scored_again(tmp_path: Path):
    one_part(tmp_path)
    (tmp_path / "h1" / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"x\.parquet: cannot be read as a part"):
        read_parts(tmp_path)
    assert done_outputs(tmp_path, Named("h1"), 1)[1] == 1  # type: ignore[arg-type]
    assert (tmp_path / "h1" / ".x.parquet.broken").read_bytes() == b"PAR1"
    assert read_parts(tmp_path).height == 1


def test_a_folder_called_like_a_column_is_none(tmp_path: Path):
    one_part(tmp_path / "judge=other")
    assert read_parts(tmp_path / "judge=other")["judge"].to_list() == ["j"]


def test_parts_go_into_a_folder_of_their_own(tmp_path: Path):
    OUTPUTS.write_parquet(tmp_path / "outputs.parquet")
    with pytest.raises(InputError, match="lies in the folder of the outputs"):
        score_with_ray(str(tmp_path), ["keyword:default"], tmp_path / "parts")
    with pytest.raises(InputError, match="is a file"):
        score_with_ray(OUTPUTS, ["keyword:default"], tmp_path / "outputs.parquet")
    with pytest.raises(InputError, match="cannot be written"):
        score_with_ray(OUTPUTS, ["keyword:default"], tmp_path / "outputs.parquet" / "parts")


def test_a_folder_without_verdicts_is_said(tmp_path: Path):
    with pytest.raises(InputError, match="holds no verdicts"):
        read_verdicts(tmp_path)
