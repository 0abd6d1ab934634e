"""`interjudge card`: a report onto a model card."""

from __future__ import annotations

import difflib
import json as json_module
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from interjudge import cli_options as opt
from interjudge.errors import InputError, choices, did_you_mean, printable

if TYPE_CHECKING:
    from interjudge.reports.card import Card
    from interjudge.reports.every_eval_ever import Relationship
    from interjudge.reports.report import Report

EPILOG: Final = "Example: `interjudge card README.md --report report/report.json --model my-model`"
_METADATA: Final = "Metadata"
_RECORD: Final = "A record instead"
_FORMATS: Final = ("card", "every-eval-ever")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EPILOG)(card)


def card(
    report: Annotated[Path, typer.Option("--report", "-r", metavar="FILE", help="The report.json to put on it.")],
    readme: Annotated[
        Path | None, typer.Argument(metavar="README.md", help="The model card; it is changed in place.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The card's model as the report names it; default the only one.")
    ] = None,
    insert_after: Annotated[
        str | None,
        typer.Option("--insert-after", metavar="HEADING", help="Where a new section goes; default the end."),
    ] = None,
    link: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where readers find the full report; default report.md beside the JSON."),
    ] = None,
    metadata: Annotated[
        bool,
        typer.Option("--metadata/--no-metadata", help="Put results into `model-index`.", rich_help_panel=_METADATA),
    ] = True,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The model's name in the metadata; default --model.", rich_help_panel=_METADATA
        ),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The benchmark's data set on the Hub: also writes `.eval_results/*.yaml` beside the card.",
            rich_help_panel=_METADATA,
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(metavar="ID", help="The benchmark's task.", rich_help_panel=_METADATA)
    ] = "default",
    question: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The question whose rate is the benchmark's result.", rich_help_panel=_METADATA
        ),
    ] = None,
    format_: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help=f"{' or '.join(_FORMATS)}.", rich_help_panel=_RECORD),
    ] = _FORMATS[0],
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the record goes; - is stdout.", rich_help_panel=_RECORD),
    ] = None,
    organisation: Annotated[
        str, typer.Option(metavar="NAME", help="Who evaluated.", rich_help_panel=_RECORD)
    ] = "unknown",
    relationship: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="To the model: first_party, third_party, collaborative, other.",
            rich_help_panel=_RECORD,
        ),
    ] = "other",
    lower_is_better: Annotated[
        bool | None,
        typer.Option(
            "--lower-is-better/--higher-is-better",
            help="Of the rates; default lower for harm, else not declared.",
            rich_help_panel=_RECORD,
        ),
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Make the card where there is none.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a section that was edited by hand.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes, write nothing.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Insert or refresh the section on a model card, and its metadata. A second time changes no byte.

    With `--format every-eval-ever --out FILE` the same figures as a record of Every Eval Ever; no card is touched.
    """
    if format_ != _FORMATS[0]:
        _check_format(format_, readme, out)
        _record(report, str(out), model, name, benchmark, organisation, relationship, lower_is_better)
        return
    if readme is None or out is not None:
        raise InputError("a card is needed, and no --out", expected="interjudge card README.md --report report.json")
    from interjudge.datasets.write import check_target
    from interjudge.reports.card import read_card, update_card
    from interjudge.reports.card_metadata import results_of
    from interjudge.reports.card_section import Subject, find_model
    from interjudge.reports.read import read_report

    check_target(readme, inputs=[report], table=False)
    read = read_report(report)
    found = find_model(read, model)
    text = "" if create and not readme.exists() else read_card(readme)
    results = None
    if metadata and found is not None:
        url = link if link is not None and _is_web(link) else None
        results = results_of(read, found, known_as=name, dataset=benchmark or "other", source_url=url)
    subject = Subject(found, link if link is not None else _beside(readme, report))
    with _about(readme):
        changed = update_card(text, read, subject, insert_after=insert_after, results=results, force=force)
    others = [] if benchmark is None else [_benchmark(readme, read, found, benchmark, task, question, link, force)]
    files = [(readme, changed.before, changed.after), *others]
    if dry_run:
        for file in files:
            _show(*file)
        return
    for path, before, after in files:
        if before != after or not path.exists():
            write_card(path, after)
    if not quiet:
        _tell(readme, changed, read, found, metadata)
        for path, before, after in others:
            typer.echo(f"{path}: {'unchanged' if before == after else 'written'}")


def _check_format(format_: str, readme: Path | None, out: str | None) -> None:
    if format_ not in _FORMATS:
        raise InputError(
            f"unknown --format {format_!r}{did_you_mean(format_, _FORMATS)}", expected=f"one of {choices(_FORMATS)}"
        )
    if readme is not None or out is None:
        raise InputError(f"--format {format_} takes no card and an --out", expected="--out FILE, without README.md")


def _record(
    report: Path,
    out: str,
    model: str | None,
    name: str | None,
    benchmark: str | None,
    organisation: str,
    relationship: str,
    lower_is_better: bool | None,
) -> None:
    """The record of Every Eval Ever."""
    from interjudge.datasets.write import check_target, write_text
    from interjudge.reports.card_section import find_model, models_of
    from interjudge.reports.escape import json_text
    from interjudge.reports.every_eval_ever import RELATIONSHIPS, About, every_eval_ever
    from interjudge.reports.read import read_report

    if relationship not in RELATIONSHIPS:
        raise InputError("unknown --relationship", found=relationship, expected=f"one of {choices(RELATIONSHIPS)}")
    check_target(out, inputs=[report], table=False)
    read = read_report(report)
    found = find_model(read, model)
    if found is None:
        raise InputError("a record is about one model", expected=f"--model with one of {choices(models_of(read))}")
    about = About(name, benchmark, organisation, cast("Relationship", relationship), lower_is_better)
    record = every_eval_ever(read, found, about)
    write_text(json_text(json_module.dumps(record, indent=2, ensure_ascii=False)) + "\n", out, inputs=[report])
    if out != "-":
        typer.echo(f"wrote {out}")


def write_card(path: Path, text: str) -> None:
    """Whole or not at all, under the same permissions."""
    from interjudge.datasets.write import write_text

    write_text(text, path)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Names the file in what is said of its text."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _is_web(link: str) -> bool:
    return link.lower().startswith(("https://", "http://"))


def _beside(readme: Path, report: Path) -> str | None:
    """report.md beside the JSON, as seen from the card; None where there is none, or not below the card's folder."""
    page = report.with_name("report.md")
    if not page.is_file():
        return None
    try:
        return page.resolve().relative_to(readme.resolve().parent).as_posix()
    except ValueError:
        return None


def _benchmark(
    readme: Path,
    report: Report,
    model: str | None,
    benchmark: str,
    task: str,
    question: str | None,
    link: str | None,
    force: bool,
) -> tuple[Path, str, str]:
    """The file below `.eval_results`: its path, its text before and after."""
    from interjudge.reports.card import read_card
    from interjudge.reports.eval_results import FOLDER, check_own, eval_results, file_name

    url = link if link is not None and _is_web(link) else None
    text = eval_results(report, model, benchmark, task, question=question, url=url)
    path = readme.parent / FOLDER / file_name(benchmark, task)
    before = read_card(path) if path.exists() else ""
    if before and before != text and not force:
        with _about(path):
            check_own(before)
    return path, before, text


def _show(path: Path, before: str, after: str) -> None:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), fromfile=str(path), tofile=str(path), lineterm=""
    )
    for line in lines:
        typer.echo(printable(line))


def _tell(readme: Path, changed: Card, report: Report, model: str | None, metadata: bool) -> None:
    from interjudge.reports.card_section import models_of
    from interjudge.reports.wording import count, names

    said = [f"section {changed.section}"]
    if metadata and model is not None:
        said.append(f"{count(changed.n_results, 'result')} in model-index")
    typer.echo(f"{readme}: {', '.join(said)}")
    for note in changed.notes:
        typer.echo(f"interjudge: {printable(note)}", err=True)
    if metadata and model is None:
        known = models_of(report)
        why = f"--model NAME says whose card this is: {names(known, 8)}" if known else "the outputs name no model"
        typer.echo(f"interjudge: no metadata: {why}", err=True)
