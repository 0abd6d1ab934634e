"""The whole way in one call: from verdicts, or from the bundled demo set, to a report on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import JsonValue

from interjudge.agreement.analysis import Analysis, QuestionSpec, Tables, analyse
from interjudge.agreement.humans import EPSILON
from interjudge.agreement.question import parse_map
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import VERDICT_COLUMNS
from interjudge.datasets.source import READ_ERRORS, SQLITE_MAGIC
from interjudge.datasets.write import check_targets, write_table
from interjudge.errors import InputError
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score
from interjudge.reports.explorer import build_explorer
from interjudge.reports.redact import redacted, refuse_text_slices, without_texts
from interjudge.reports.report import DEFAULT_TITLE, InputFile, JudgeUsed, Provenance, Report, Run, build_report
from interjudge.reports.write import (
    FLAGS_NAME,
    HTML_NAME,
    JSON_NAME,
    MARKDOWN_NAME,
    check_images,
    write_report,
)
from interjudge.side_evidence import readers, side_evidence

# Every judge that runs without a model, a key or a network.
OFFLINE_JUDGES: Final = ("keyword:default", "keyword:prefix", "keyword:first-sentence", "coherence:heuristic")

ITEMS_NAME: Final = "items.parquet"
OUTPUTS_NAME: Final = "outputs.parquet"
REPORT_NAMES: Final = (HTML_NAME, JSON_NAME, MARKDOWN_NAME, FLAGS_NAME, ITEMS_NAME)  # what `make_report` writes
STORE_NAME: Final = "verdicts.db"

# The demo's questions: what each judge was made for, and what many papers use refusal detectors for.
_DEMO_QUESTIONS: Final = (
    QuestionSpec(construct="refusal"),
    QuestionSpec(construct="coherence", positive="incoherent"),
    QuestionSpec(
        construct="harm",
        labels=("safe", "unsafe"),
        maps=(parse_map("refusal::refusal=safe"), parse_map("refusal::compliance=unsafe")),
    ),
)


def make_report(
    tables: Tables,
    out: Path,
    *,
    questions: Sequence[QuestionSpec] = (),
    by: Sequence[str] = (),
    cluster: str | None = None,
    sampling: Sampling | None = None,
    epsilon: float = EPSILON,
    title: str | None = None,
    live: Sequence[str] = (),
    inputs: Sequence[str | Path] = (),
    options: Mapping[str, JsonValue] | None = None,
    redact: bool = False,
) -> tuple[Report, list[Path]]:
    """Analyse and write `report.html`, `.json`, `.md`, `flags.parquet`, `items.parquet` into the folder `out`.

    Parameters
    ----------
    live : the judges that were asked just now; the others' verdicts were read.
    inputs : files that must not be written over, besides `tables.sources`.
    options : what else decided the figures (which judges were read, say), for the report's provenance.
    redact : leave prompts, responses and what judges wrote out of every file, and of the report that is returned.

    Returns the report and the paths written.

    Raises
    ------
    InputError : before anything is analysed, where a file of the report is an input, or where `by` names texts
        that `redact` leaves out.
    """
    started = time.monotonic()
    if redact:
        refuse_text_slices(by)
    inputs = [*inputs, *(path for path, _ in tables.sources)]
    check_folder(out, inputs=inputs)
    out = folder(out)
    sampling = sampling or Sampling()
    evidence = side_evidence(tables)
    analysis = analyse(
        tables, questions=questions, by=by, cluster=cluster, evidence=evidence, epsilon=epsilon, sampling=sampling
    )
    said: dict[str, JsonValue] = {
        **(options or {}),
        "questions": [_said(spec) for spec in questions],
        "by": list(by),
        "cluster": cluster,
        "evidence": list(readers(evidence)),
        "replicates": sampling.replicates,
        "confidence": sampling.confidence,
        **({"epsilon": epsilon} if epsilon != EPSILON else {}),
    }
    provenance = Provenance.collect(
        inputs=[_described(path, rows) for path, rows in tables.sources],
        judges=_judges_used(analysis, live),
        seed=sampling.seed,
        options={name: value for name, value in said.items() if value or value == 0},
        run=Run(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            duration_s=round(time.monotonic() - started, 3),
        ),
    )
    report = build_report(analysis.questions, provenance=provenance, title=title or DEFAULT_TITLE)
    if redact:
        report = redacted(report)
    explorer = build_explorer(
        report.questions,
        analysis.flagged,
        tables.verdicts,
        tables.outputs,
        references=analysis.references,
        redacted=redact,
    )
    paths = write_report(report, out, flags=analysis.flags, explorer=explorer, inputs=inputs)
    write_table(analysis.items, out / ITEMS_NAME, inputs=inputs)
    return report, [*paths, out / ITEMS_NAME]


def check_folder(out: Path, *, inputs: Sequence[str | Path]) -> None:
    """Raise `InputError` where a file that `make_report` would write into `out` is one of `inputs`."""
    if out.exists():
        folder(out)  # it may be a file
    check_targets([out / name for name in REPORT_NAMES], inputs=inputs, table=False)
    check_images(out, inputs=inputs)


def run_demo(
    out: Path, *, seed: int = 0, redact: bool = False, progress: Callable[[str, int, int], None] | None = None
) -> tuple[Report, list[Path]]:
    """Score the bundled outputs with `OFFLINE_JUDGES`, add stored verdicts, analyse, write everything to `out`.

    With `redact` no file holds a prompt, a response or what a judge wrote of it; there is no verdict store then.
    """
    # only the demo needs them
    from interjudge.datasets.demo import load_outputs, load_reference, load_verdicts  # noqa: PLC0415

    outputs, reference = load_outputs(), load_reference()
    _refuse_foreign(out, outputs, redact=redact)
    out = folder(out)
    kept = without_texts if redact else _whole
    write_table(kept(outputs), out / OUTPUTS_NAME)  # first: a run that was stopped may go on in this folder
    judges = [get_judge(spec) for spec in OFFLINE_JUDGES]
    store = None if redact else out / STORE_NAME
    live = score(outputs, judges, store=store, progress=progress)
    verdicts = pl.concat([live, load_verdicts()], how="diagonal")
    verdicts = verdicts.select(name for name in VERDICT_COLUMNS if name in verdicts.columns)
    written = [out / OUTPUTS_NAME]
    for table, name in ((verdicts, "verdicts.parquet"), (reference, "reference.parquet")):
        write_table(kept(table), out / name)
        written.append(out / name)
    name = "the demo set's reference"
    tables = Tables(verdicts, outputs, reference, name, sources=((str(out / OUTPUTS_NAME), outputs.height),))
    report, paths = make_report(
        tables,
        out,
        questions=_DEMO_QUESTIONS,
        cluster="prompt",
        sampling=Sampling(seed=seed),
        title="The demo set under judges that run offline, and under stored verdicts of models",
        live=OFFLINE_JUDGES,
        redact=redact,
    )
    return report, [*paths, *written, *([store] if store is not None else [])]


def _whole(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def _refuse_foreign(out: Path, outputs: pl.DataFrame, *, redact: bool) -> None:
    """Raise `InputError` where `out` holds files, and not the demo's own outputs among them, or texts to leave out."""
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        there = pl.read_parquet(out / OUTPUTS_NAME, glob=False)
    except READ_ERRORS:
        there = None
    if there is None or not (there.equals(outputs) or there.equals(without_texts(outputs))):
        raise InputError(
            "the folder is not empty and no demo made it", file=out, expected="another folder (--out), new or empty"
        )
    if redact and (there.equals(outputs) or (out / STORE_NAME).exists()):
        raise InputError(
            "the folder holds a demo with its texts, which --redact leaves out",
            file=out,
            expected="another folder (--out), new or empty",
        )


def _said(spec: QuestionSpec) -> dict[str, JsonValue]:
    """What the user said of a question, in the words of the command line."""
    said: dict[str, JsonValue] = {
        "construct": spec.construct,
        "labels": list(spec.labels),
        "positive": spec.positive,
        "level": spec.level,
        "map": [str(rule) for rule in spec.maps],
        "threshold": dict(spec.thresholds),
    }
    return {name: value for name, value in said.items() if value}


def folder(path: Path) -> Path:
    """The folder, made if it is not there.

    Raises
    ------
    InputError : when a file stands there or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError("is a file", file=path, expected="a folder, or a name that is free") from None
    except OSError as error:
        raise InputError(f"the folder cannot be made: {error.strerror}", file=path) from None
    return path


def _described(path: str, rows: int | None) -> InputFile:
    """A verdict store is not hashed: others may be writing to it. Of a pipe nothing is left to read."""
    if not Path(path).is_file():
        return InputFile.of(path, rows, hashed=False)
    with Path(path).open("rb") as file:
        store = file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    return InputFile.of(path, rows, hashed=not store)


def _judges_used(analysis: Analysis, live: Sequence[str]) -> tuple[JudgeUsed, ...]:
    """Every judge of every question once, in the order it comes."""
    seen: dict[str, JudgeUsed] = {}
    for question in analysis.questions:
        for j in question.agreement.judges:
            stored = j.judge not in live
            used = JudgeUsed(judge=j.judge, kind=j.kind, construct_name=j.construct_name, hash=j.hash, stored=stored)
            seen.setdefault(j.judge, used)
    return tuple(seen.values())
