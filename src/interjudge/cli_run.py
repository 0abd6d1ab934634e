"""`interjudge run`: from outputs to a report, as one file says; stopped, it goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from interjudge import cli_screen as screen
from interjudge.cli_end import INTERRUPTED, UNMET
from interjudge.errors import InputError, choices, did_you_mean

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from interjudge.agreement.analysis import Tables
    from interjudge.config import Config
    from interjudge.judges.base import Judge
    from interjudge.judges.store import Store
    from interjudge.reports.report import Report

EPILOG: Final = "Example: `interjudge run --init` writes run.toml, and `interjudge run run.toml` does what it says"
DEFAULT_FILE: Final = Path("run.toml")
VERDICTS_NAME: Final = "verdicts.parquet"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EPILOG)(run)


def run(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG.toml", help="What to judge, by whom, and where the report goes."),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Write a commented example here (default run.toml) and do nothing else.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and say what would be asked; ask and write nothing.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="With batch = true: send or collect, then end; the same command goes on.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no tables and no progress.")] = False,
) -> None:
    """All of it in one file: outputs, judges, verdicts, analysis, report. The same command resumes.

    Exit code 1 where a judge gave no usable verdict at all, 3 where a `require` or `max_missing` of the file is not
    met; the report has been written then.
    """
    if init:
        _init(config or DEFAULT_FILE)
        return
    if config is None:
        raise InputError("no file was named", expected="interjudge run CONFIG.toml, or --init to have one written")
    _run(config, dry_run=dry_run, no_wait=no_wait, quiet=quiet)


def _init(path: Path) -> None:
    from interjudge.config import example

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # never over a file that is there
            try:
                file.write(example())
                file.flush()
            except OSError:
                path.unlink()  # the disk is full: half a file would be in the way of the next --init
                raise
    except FileExistsError:
        raise InputError("is there already", file=path, expected="a name that is free") from None
    except OSError as error:
        raise InputError(f"cannot be written: {(error.strerror or str(error)).lower()}", file=path) from None
    typer.echo(f"wrote {path}\nrun it: interjudge run {quote(str(path))}")


def _run(path: Path, *, dry_run: bool, no_wait: bool, quiet: bool) -> None:
    from interjudge.config import read_config
    from interjudge.datasets.outputs import read_outputs
    from interjudge.datasets.write import write_table
    from interjudge.judges.prices import read_prices
    from interjudge.reports.redact import refuse_text_slices, without_texts
    from interjudge.reports.terminal import render_terminal

    config = read_config(path)
    judges = config.judges()
    inputs = _inputs(config, judges)
    verdicts_file = config.report_folder / VERDICTS_NAME
    _check_targets(config, inputs)
    if config.report.redact:
        refuse_text_slices(config.analysis.by)
    if config.prices_file is not None:
        read_prices(config.prices_file)
    with screen.working("reading the outputs", quiet=quiet):
        outputs = read_outputs(config.outputs_file, limit=config.outputs.limit, tell=screen.tell_found(quiet))
    reference = _reference(config, outputs)
    _check_columns(config, outputs)
    _check_names(config, judges)
    if dry_run or not quiet:
        _print_plan(config, outputs, judges, screen.console(), dry_run=dry_run)
    if dry_run:
        return
    done: dict[str, tuple[int, int]] = {}
    try:
        with screen.run(quiet) as shown:
            verdicts = _asked(config, outputs, judges, shown, done, wait=not no_wait)
    except KeyboardInterrupt:
        _stopped(path, config.store_file, done)
        raise typer.Exit(INTERRUPTED) from None
    write_table(without_texts(verdicts) if config.report.redact else verdicts, verdicts_file, inputs=inputs)
    tables = _tables(config, verdicts, outputs, reference)
    with screen.working("analysing", quiet=quiet):
        report, written = _report(config, tables, [judge.name for judge in judges], inputs)
    if not quiet:
        from interjudge.cli_tables import print_scores
        from interjudge.judges.store import store_notes

        print_scores(verdicts, screen.console(), notes=store_notes(config.store_file))
        render_terminal(report, screen.console(), full=config.report.full)
    for line in screen.written([*written, verdicts_file, config.store_file]):
        typer.echo(f"wrote {line}")
    _check_done(config, report, verdicts)


def _asked(
    config: Config,
    outputs: pl.DataFrame,
    judges: Sequence[Judge],
    shown: screen.Screen,
    done: dict[str, tuple[int, int]],
    *,
    wait: bool,
) -> pl.DataFrame:
    """Every judge's verdicts, judges in the order of the file."""
    from interjudge.cli_batch import in_batches, together
    from interjudge.judges.prices import read_prices
    from interjudge.judges.runner import score

    limits, progress = config.limits, screen.counted(shown.progress, done)
    prices, rest, tables = read_prices(config.prices_file), list(judges), list[Any]()
    with _store(config) as store:
        if limits.batch:
            rest, tables = in_batches(
                outputs, judges, store, repeats=limits.repeats, prices=prices, wait=wait, shown=shown,
                progress=progress, max_cost=limits.max_cost, max_requests=limits.max_requests, said="batch = true",
            )  # fmt: skip
        if rest:
            tables.append(
                score(
                    outputs, rest, store=store, repeats=limits.repeats, concurrency=limits.concurrency,
                    rpm=limits.rpm, tpm=limits.tpm, max_cost=limits.max_cost, max_requests=limits.max_requests,
                    timeout=limits.timeout, prices=prices, progress=progress, watch=shown.watch, tell=shown.tell,
                )
            )  # fmt: skip
    return together(tables, judges)


# Before anybody is asked.


def _inputs(config: Config, judges: Sequence[Judge]) -> list[Path]:
    """Every file that is read: none of them is ever written over."""
    given = (config.path, config.outputs_file, config.reference_file, config.prices_file)
    return [path for path in given if path is not None] + [config.at(file) for one in judges for file in one.files]


def _check_targets(config: Config, inputs: Sequence[Path]) -> None:
    from interjudge.datasets.write import check_targets
    from interjudge.pipeline import REPORT_NAMES, check_folder

    folder = config.report_folder
    check_folder(folder, inputs=inputs)
    names = (*REPORT_NAMES, VERDICTS_NAME)
    check_targets([*(folder / name for name in names), config.store_file], inputs=inputs, table=False)


def _reference(config: Config, outputs: pl.DataFrame) -> str | pl.DataFrame | None:
    """The labels taken as true: a judge's name, or a table."""
    from interjudge.datasets.reference import gold_of_column, read_reference

    said = config.reference
    if said is None:
        return None
    if config.reference_file is not None:
        return read_reference(config.reference_file, column=said.column)
    if said.judge is not None:
        return said.judge
    assert said.column is not None  # `read_config` saw to it
    _refuse_unknown(config, "reference.column", said.column, outputs.columns, "columns of the outputs")
    return gold_of_column(outputs, said.column)


def _check_columns(config: Config, outputs: pl.DataFrame) -> None:
    analysis = config.analysis
    for key, column in (*(("by", name) for name in analysis.by), ("cluster", analysis.cluster)):
        if column is not None:
            _refuse_unknown(config, f"analysis.{key}", column, outputs.columns, "columns of the outputs")


def _check_names(config: Config, judges: Sequence[Judge]) -> None:
    """What would end the analysis after every judge was asked and paid."""
    names = [judge.name for judge in judges]
    if config.reference is not None and config.reference.judge is not None:
        _refuse_unknown(config, "reference.judge", config.reference.judge, names, "the judges")
    for question in config.question:
        for name in question.thresholds:
            _refuse_unknown(config, "question.thresholds", name, names, "the judges")


def _refuse_unknown(config: Config, key: str, name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        problem = f"{name!r} is none of {what}{did_you_mean(name, known)}"
        raise InputError(problem, file=config.path, row=f"key {key!r}", expected=f"one of {choices(known)}")


def _print_plan(
    config: Config, outputs: pl.DataFrame, judges: Sequence[Judge], console: Console, *, dry_run: bool
) -> None:
    """What is about to be done: who is asked how much, what is stored already, and what it costs at most."""
    from interjudge.judges.estimate import estimate
    from interjudge.reports.table import Cell, Column, Table
    from interjudge.reports.terminal import print_table
    from interjudge.reports.wording import count

    repeats = config.limits.repeats
    store = config.store_file if _is_store(config.store_file) else None
    batch = config.limits.batch
    plans = estimate(outputs, judges, store=store, repeats=repeats, prices=config.prices_file, batch=batch)
    times = f" x {repeats} repeats" if repeats > 1 else ""
    title = f"{config.path}: {count(outputs.height, 'output')} x {count(len(judges), 'judge')}{times}"
    rows = tuple(
        (
            Cell(judge.name),
            Cell(judge.construct),
            Cell(", ".join(judge.labels) or "scores alone"),
            Cell(count(plan.stored) if plan.stored else ""),
            Cell(count(plan.left)),
            Cell("" if plan.model is None else "not known" if plan.cost_usd is None else screen.dollars(plan.cost_usd)),
        )
        for judge, plan in zip(judges, plans, strict=True)
    )
    columns = (
        Column("judge", "left", name=True),
        Column("measures", "left", rank=2),
        Column("labels", "left", rank=3),
        Column("stored", rank=1),
        Column("to ask"),
        Column("USD, at most"),
    )
    batches = ("asked through batch APIs where there is one (batch = true)",) if batch else ()
    kept = "keeps every verdict in" if store is None else "resumes from"
    notes = (f"{kept} {config.store_file}; the report goes to {config.report_folder}", *batches)
    print_table(Table(title, columns, rows, notes).without_empty(), console)
    if dry_run and any(plan.model is not None for plan in plans):
        screen.print_plans(plans, console, budget=config.limits.max_cost)


def _store(config: Config) -> AbstractContextManager[Path | Store]:
    """The verdict store; where texts are left out of every file, one that keeps no words of a judge."""
    from interjudge.judges.store_quiet import QuietStore

    return QuietStore(config.store_file) if config.report.redact else nullcontext(config.store_file)


def _is_store(path: Path) -> bool:
    """Whether a verdict store can be read here; where a run was killed while it made it, there is none yet."""
    from interjudge.judges.store import store_notes

    try:
        store_notes(path)
    except InputError:
        return False
    return True


# After they were asked.


def _tables(
    config: Config, verdicts: pl.DataFrame, outputs: pl.DataFrame, reference: str | pl.DataFrame | None
) -> Tables:
    from interjudge.agreement.analysis import Tables

    sources: list[tuple[str, int | None]] = [(str(config.outputs_file), outputs.height)]
    name = "reference"
    if config.reference_file is not None and not isinstance(reference, str) and reference is not None:
        name = config.reference_file.name
        sources.append((str(config.reference_file), reference.height))
    return Tables(verdicts, outputs, reference, name, tuple(sources))


def _report(config: Config, tables: Tables, live: Sequence[str], inputs: Sequence[Path]) -> tuple[Report, list[Path]]:
    from interjudge.pipeline import make_report

    analysis = config.analysis
    return make_report(
        tables,
        config.report_folder,
        questions=[question.specified() for question in config.question],
        by=analysis.by,
        cluster=analysis.cluster,
        sampling=analysis.sampling(),
        title=config.report.title,
        live=live,
        inputs=inputs,
        options={"config": config.recorded()},
        redact=config.report.redact,
    )


def _check_done(config: Config, report: Report, verdicts: pl.DataFrame) -> None:
    """Exit with 1 where a judge said nothing usable, with 3 where the file asked for more than there is."""
    from interjudge.cli_tables import silent_judges

    silent = silent_judges(verdicts)
    unmet = [
        requirement.verdict(found.agreement)
        for asked, found in zip(config.question, report.questions, strict=False)  # no [[question]]: nothing required
        for requirement in asked.required()
        if not requirement.holds(found.agreement)
    ]
    missing, most = verdicts.filter(verdicts["status"] != "ok").height, config.analysis.max_missing
    too_few = most is not None and missing > most * verdicts.height
    for words in silent:
        typer.echo(f"interjudge: {words}", err=True)
    for words in unmet:
        typer.echo(f"interjudge: not met: {words}", err=True)
    if too_few:
        told = f"{missing:,} of {verdicts.height:,} verdicts are not ok, more than max_missing = {most:g}"
        typer.echo(f"interjudge: {told}", err=True)
    if silent:
        raise typer.Exit(1)
    if unmet or too_few:
        raise typer.Exit(UNMET)


def _stopped(path: Path, store: Path, done: dict[str, tuple[int, int]]) -> None:
    stored = ", ".join(f"stored {n:,} of {total:,} verdicts of {judge}" for judge, (n, total) in done.items())
    said = f"stopped; {stored or 'nothing was asked'}, in {store}. interjudge run {path} goes on from there."
    typer.echo(f"interjudge: {said}", err=True)
