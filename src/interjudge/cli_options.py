"""Options that several commands share, and the few words they are written in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from interjudge.errors import InputError, choices, did_you_mean

if TYPE_CHECKING:
    import polars as pl
    from pydantic import JsonValue

    from interjudge.agreement.analysis import QuestionSpec, Tables
    from interjudge.agreement.flag_choice import Rule
    from interjudge.agreement.flags import Model
    from interjudge.agreement.panel import Panel
    from interjudge.agreement.sampling import Sampling
    from interjudge.datasets.foreign import Tell

_QUESTION = "What is compared"
_SAMPLING = "Intervals"
_REMOTE = "Judges behind a network"
_CLUSTER = "Many machines (Ray)"

Verdicts = Annotated[
    list[str],
    typer.Argument(
        metavar="VERDICTS...",
        help="Parquet, JSONL, CSV or a verdict store; several are read as one.",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FORMAT",
        help="Whose file it is, where its content does not say (see `interjudge convert --formats`); interjudge: ours.",
    ),
]
JudgeColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--judge-columns", metavar="A,B,C", help="The files are wide: these columns are the judges. Repeatable."
    ),
]
Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", "-j", metavar="JUDGE", help="Only these judges of the files. Repeatable."),
]
Outputs = Annotated[
    str | None,
    typer.Option("--outputs", metavar="FILE", help="The outputs, for their columns and texts."),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        "-r",
        "--gold",
        metavar="R",
        help="Labels taken as true: a judge, a column, or a file with item_id and gold.",
    ),
]
ReferenceColumn = Annotated[
    str | None,
    typer.Option("--gold-column", metavar="COL", help="The column of the reference file, if not 'gold'."),
]
Construct = Annotated[
    str | None,
    typer.Option(help="Compare on this construct; default the one most judges measure.", rich_help_panel=_QUESTION),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C",
        help="The label set, in order; a verdict outside it counts as out_of_range.",
        rich_help_panel=_QUESTION,
    ),
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="[WHO::]A=B",
        help="Label A is B on this question; WHO is a judge, a construct or a kind, A may be *, an empty B "
        "leaves the verdict out. Repeatable.",
        rich_help_panel=_QUESTION,
    ),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="JUDGE=X",
        help="From score X on, the verdict of JUDGE (scores alone) is the positive label. Repeatable.",
        rich_help_panel=_QUESTION,
    ),
]
Positive = Annotated[
    str | None, typer.Option(help="The label that rates and sensitivity speak of.", rich_help_panel=_QUESTION)
]
LevelOption = Annotated[
    str | None,
    typer.Option(
        "--level",
        help="nominal (default for labels), ordinal, interval (for scores) or ratio.",
        rich_help_panel=_QUESTION,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Items with the same value here are not independent, and are sampled together; e.g. prompt.",
        rich_help_panel=_SAMPLING,
    ),
]
Replicates = Annotated[int, typer.Option(min=0, max=1_000_000, help="Bootstrap replicates.", rich_help_panel=_SAMPLING)]
Seed = Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0, rich_help_panel=_SAMPLING)]
Confidence = Annotated[float, typer.Option(help="Confidence level of the intervals.", rich_help_panel=_SAMPLING)]
Epsilon = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Beside three humans or more: what a judge may lose to a human and still replace one "
        "(alternative annotator test).",
        rich_help_panel=_SAMPLING,
    ),
]
Batch = Annotated[
    bool,
    typer.Option(
        "--batch", help="Ask through the provider's batch API: half the price, hours of time. Resumes from the store."
    ),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="With --batch: end once the batches are sent; the same command collects them.")
]
By = Annotated[
    list[str] | None, typer.Option("--by", metavar="COL", help="The same figures for each value of COL. Repeatable.")
]
JsonFile = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write the figures here; - is stdout.")]
Full = Annotated[
    bool, typer.Option("--full", help="Print every table and the outputs most in dispute, as in report.md.")
]
Redact = Annotated[
    bool,
    typer.Option("--redact", help="Leave prompts, responses and what judges wrote of them out of every file."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no tables and no progress.")]
MaxMissing = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Exit with 3 when a larger share of the verdicts is not ok."),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="local|ray", help="ray: local models on many machines or processors.", rich_help_panel=_CLUSTER
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Actors for each judge; default one a processor but one.", rich_help_panel=_CLUSTER),
]
WorkerGpus = Annotated[
    float, typer.Option(min=0, help="GPUs of each actor; .5 puts two on one.", rich_help_panel=_CLUSTER)
]
RayAddress = Annotated[
    str | None,
    typer.Option(metavar="ADDR", help="A running cluster; default RAY_ADDRESS.", rich_help_panel=_CLUSTER),
]
Concurrency = Annotated[
    int | None,
    typer.Option(min=1, help="Requests under way at once, for each provider (default 16).", rich_help_panel=_REMOTE),
]
Rpm = Annotated[
    float | None,
    typer.Option("--rpm", metavar="N", help="Requests a minute, for each provider.", rich_help_panel=_REMOTE),
]
Tpm = Annotated[
    float | None,
    typer.Option("--tpm", metavar="N", help="Tokens a minute, in and out, for each provider.", rich_help_panel=_REMOTE),
]
MaxCost = Annotated[
    float | None,
    typer.Option(min=0, metavar="USD", help="Stop before this run has cost more.", rich_help_panel=_REMOTE),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Stop after so many requests of this run.", rich_help_panel=_REMOTE),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="The longest that one verdict may take (default 300).", rich_help_panel=_REMOTE
    ),
]
PricesFile = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="Prices of models, over those known here.", rich_help_panel=_REMOTE),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what would be asked and what it would cost at most; ask and write nothing.",
        rich_help_panel=_REMOTE,
    ),
]


def split_names(text: str | None) -> tuple[str, ...]:
    """`"a, b"` -> `("a", "b")`; a comma inside a name is written `\\,`."""
    if not text:
        return ()
    marked = text.replace("\\,", "\0")
    return tuple(part.strip().replace("\0", ",") for part in marked.split(",") if part.strip())


def _all_names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """The names of an option that may be repeated, each time with several names."""
    return tuple(name for text in texts or () for name in split_names(text))


def thresholds_of(texts: Sequence[str] | None) -> dict[str, float]:
    """`["judge=0.5"]` -> `{"judge": 0.5}`."""
    out = {}
    for text in texts or ():
        name, equals, value = text.rpartition("=")
        try:
            out[name] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise InputError("--threshold is not understood", found=text, expected="JUDGE=NUMBER")
    return out


def question_spec(
    construct: str | None,
    labels: str | None,
    positive: str | None,
    level: str | None,
    maps: Sequence[str] | None,
    thresholds: Sequence[str] | None,
) -> QuestionSpec:
    """What the options say of the question."""
    from interjudge.agreement.analysis import QuestionSpec
    from interjudge.agreement.question import parse_level, parse_map

    return QuestionSpec(
        construct=construct,
        labels=split_names(labels),
        positive=positive,
        level=parse_level(level) if level else None,
        maps=tuple(parse_map(text) for text in maps or ()),
        thresholds=thresholds_of(thresholds),
    )


def sampling_of(replicates: int, seed: int, confidence: float) -> Sampling:
    from interjudge.agreement.sampling import Sampling

    return Sampling(replicates=replicates, seed=seed, confidence=confidence)


def rule_of(threshold: float | None, budget: int | None, fdr: float | None) -> Rule:
    """Which verdicts to flag; without a word of the user, those with p_wrong from .5 on."""
    from interjudge.agreement.flag_choice import Rule

    if threshold is None and budget is None and fdr is None:
        threshold = 0.5
    if sum(said is not None for said in (threshold, budget, fdr)) > 1:
        raise InputError("--at, --budget and --fdr exclude each other", expected="one of them")
    return Rule(threshold, budget, fdr)


def load(
    verdicts: Sequence[str],
    judge_columns: Sequence[str] | None = None,
    outputs: str | None = None,
    reference: str | None = None,
    gold_column: str | None = None,
    columns: Sequence[str] | None = None,
    judges: Sequence[str] | None = None,
    format: str | None = None,
    tell: Tell | None = None,
) -> Tables:
    """Read verdicts, outputs and reference. `columns`: the item columns that are needed, default all.

    `format` is that of the verdicts, and of the others where they are the same file; `tell` is told what was
    understood of files of other tools.
    """
    from interjudge.agreement.analysis import Tables
    from interjudge.datasets.columns import MissingColumnError, missing_column
    from interjudge.datasets.outputs import read_outputs
    from interjudge.datasets.verdicts import read_verdicts

    def of(path: str) -> str | None:
        return format if path in verdicts else None

    whole = read_outputs(outputs, format=of(outputs), tell=tell) if outputs else None
    if columns is not None:
        columns = [name for name in columns if whole is None or name not in whole.columns]
        if reference is not None and not Path(reference).exists():
            columns = None  # it may be one of the columns
    names = _all_names(judge_columns)
    try:
        table = read_verdicts(verdicts, judge_columns=names, columns=columns, format=format, tell=tell)
    except MissingColumnError as error:
        if whole is None or error.column not in (columns or ()):
            raise
        file = ", ".join([*verdicts, str(outputs)])  # it may stand in either
        raise missing_column(file, error.column, whole.columns, "a column of the outputs or of the verdicts") from None
    if judges:
        table = only_judges(table, judges, reference)
    same = reference in verdicts  # then it was told already
    gold = _reference(reference, gold_column, table, whole, format if same else None, None if same else tell)
    name = Path(reference).name if reference and not isinstance(gold, str) else "reference"
    sources = [(path, table.height if len(verdicts) == 1 else None) for path in verdicts]
    if outputs and whole is not None:
        sources.append((outputs, whole.height))
    if reference and gold is not None and not isinstance(gold, str) and Path(reference).exists():
        sources.append((reference, gold.height))
    return Tables(table, whole, gold, name, tuple(sources))


def default_store(outputs: str, out: str | None) -> Path | None:
    """Where `score` keeps verdicts: beside `out`, else in the current folder under the name of the outputs."""
    if out == "-":
        return None
    if out is None and outputs == "-":
        return Path("verdicts.db")
    path = Path(out) if out is not None else Path(Path(outputs).name)
    if path.suffix.lower() in {".gz", ".zst"}:
        path = path.with_suffix("")
    return path.with_suffix(".db")


def inputs_of(verdicts: Sequence[str], *others: str | None) -> list[str]:
    """All that a command was given to read; what is no file (a judge's name) does no harm here."""
    return [*verdicts, *(other for other in others if other)]


def choice_of(
    judges: Sequence[str] | None, judge_columns: Sequence[str] | None, reference: str | None, gold_column: str | None
) -> dict[str, JsonValue]:
    """What decided which verdicts and labels were read, as a report's provenance tells it (no folders)."""
    file = reference is not None and Path(reference).exists()
    return {
        "judge": list(judges or ()),
        "judge_columns": list(_all_names(judge_columns)),
        "reference": Path(reference).name if reference is not None and file else reference,
        "gold_column": gold_column,
    }


def refuse_silent(reference: str | None, panel: Panel) -> None:
    """Raise `InputError` where a reference was given that says nothing of the panel's question."""
    if reference is not None and panel.gold is None:
        raise InputError(
            f"says nothing of {panel.question.construct!r}, the construct that is compared",
            file=reference,
            expected="labels of that construct (and its name where there is a column `criterion`), or a --map",
        )


def only_judges(verdicts: pl.DataFrame, judges: Sequence[str], reference: str | None) -> pl.DataFrame:
    """The verdicts of some judges, and of the one that is the reference."""
    known = verdicts["judge"].unique(maintain_order=True).to_list()
    for name in judges:
        if name not in known:
            raise InputError(f"no judge {name!r} here{did_you_mean(name, known)}", expected=f"one of {choices(known)}")
    return verdicts.filter(verdicts["judge"].is_in([*judges, reference]))


def _reference(
    reference: str | None,
    column: str | None,
    verdicts: pl.DataFrame,
    outputs: pl.DataFrame | None,
    format: str | None = None,
    tell: Tell | None = None,
) -> str | pl.DataFrame | None:
    """A judge of the table by that name, else a column of the verdicts or of the outputs, else a file."""
    from interjudge.datasets.reference import gold_of_column, read_reference

    if reference is None or (verdicts["judge"] == reference).any():
        return reference
    for frame in (verdicts, outputs):
        if frame is not None and reference in frame.columns and not Path(reference).exists():
            return gold_of_column(frame, reference)
    if not Path(reference).exists() and not {"/", "."} & set(reference):
        return reference  # meant as a judge: `build_panel` lists those there are
    return read_reference(reference, column=column, format=format, tell=tell)


def flag_model(text: str) -> Model:
    """One `--model` value; `flag` refuses one it does not know."""
    return cast("Model", text)
