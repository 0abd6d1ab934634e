"""The whole way in one call: from verdicts, or from the bundled demo set, to a report on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from interjudge.agreement.analysis import Analysis, QuestionSpec, Tables, analyse
from interjudge.agreement.measure import Sampling
from interjudge.agreement.question import parse_map
from interjudge.datasets.write import write_table
from interjudge.errors import InputError
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score
from interjudge.reports.report import DEFAULT_TITLE, InputFile, JudgeUsed, Provenance, Report, Run, build_report
from interjudge.reports.write import write_report

# Every judge that runs without a model, a key or a network.
OFFLINE_JUDGES: Final = ("keyword:default", "keyword:prefix", "keyword:first-sentence", "coherence:heuristic")

_SQLITE: Final = b"SQLite format 3\0"

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
    title: str | None = None,
    live: Sequence[str] = (),
) -> tuple[Report, list[Path]]:
    """Analyse and write `report.json`, `report.md`, `flags.parquet`, `items.parquet` into the folder `out`.

    `live`: the judges that were asked just now; the others' verdicts were read. Returns the report and the
    paths written.
    """
    started = time.monotonic()
    out = folder(out)
    sampling = sampling or Sampling()
    analysis = analyse(tables, questions=questions, by=by, cluster=cluster, sampling=sampling)
    options: dict[str, JsonValue] = {
        "by": list(by),
        "cluster": cluster,
        "replicates": sampling.replicates,
        "confidence": sampling.confidence,
    }
    provenance = Provenance.collect(
        inputs=[_described(path, rows) for path, rows in tables.sources],
        judges=_judges_used(analysis, live),
        seed=sampling.seed,
        options={name: value for name, value in options.items() if value},
        run=Run(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            duration_s=round(time.monotonic() - started, 3),
        ),
    )
    report = build_report(analysis.questions, provenance=provenance, title=title or DEFAULT_TITLE)
    paths = write_report(report, out, flags=analysis.flags)
    write_table(analysis.items, out / "items.parquet")
    return report, [*paths, out / "items.parquet"]


def run_demo(
    out: Path, *, seed: int = 0, progress: Callable[[str, int, int], None] | None = None
) -> tuple[Report, list[Path]]:
    """Score the bundled outputs with `OFFLINE_JUDGES`, add stored verdicts, analyse, write everything to `out`."""
    from interjudge.datasets.demo import load_outputs, load_reference  # noqa: PLC0415 - only the demo needs them

    out = folder(out)
    outputs, reference = load_outputs(), load_reference()
    judges = [get_judge(spec) for spec in OFFLINE_JUDGES]
    verdicts = score(outputs, judges, store=out / "verdicts.db", progress=progress)
    written = []
    for table, name in ((outputs, "outputs.parquet"), (verdicts, "verdicts.parquet"), (reference, "reference.parquet")):
        write_table(table, out / name)
        written.append(out / name)
    name = "the demo set's reference"
    tables = Tables(verdicts, outputs, reference, name, sources=((str(out / "outputs.parquet"), outputs.height),))
    report, paths = make_report(
        tables,
        out,
        questions=_DEMO_QUESTIONS,
        cluster="prompt",
        sampling=Sampling(seed=seed),
        title="The demo set under every judge that runs offline",
        live=OFFLINE_JUDGES,
    )
    return report, [*paths, *written, out / "verdicts.db"]


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
    """A verdict store is not hashed: others may be writing to it."""
    try:
        with Path(path).open("rb") as file:
            store = file.read(len(_SQLITE)) == _SQLITE
    except OSError:  # standard input
        store = True
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
