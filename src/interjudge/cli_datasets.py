"""`interjudge datasets`: public sets with several judges, by name."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from interjudge import cli_options as opt
from interjudge import cli_screen as screen
from interjudge.errors import InputError, printable

if TYPE_CHECKING:
    from interjudge.datasets.public import PublicSet

_MEGA: Final = 1_000_000

Sets = Annotated[
    Path | None,
    typer.Option("--sets", metavar="FILE", help="Another list of sets, of the form of the one built in (TOML)."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="See `interjudge datasets list`.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(help="Public sets with several judges or human labels.", no_args_is_help=False)
    group.callback(invoke_without_command=True)(_default)
    group.command("list", epilog="Example: `interjudge datasets list`")(list_sets)
    group.command("show", epilog="Example: `interjudge datasets show purseclab`")(show)
    group.command("get", epilog="Example: `interjudge datasets get purseclab --out purseclab`")(get)
    app.add_typer(group, name="datasets")


def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_sets()


def list_sets(sets: Sets = None) -> None:
    """Every set that is known by name: what it is, its licence, whether it is here already."""
    from interjudge.datasets.public import cached, public_sets
    from interjudge.reports.table import Cell, Column, Table
    from interjudge.reports.terminal import print_table

    known = public_sets(sets)
    rows = []
    for one in known.values():
        here = len(cached(one)) == len(one.files)
        cells = (one.name, one.title, one.licence, _size(one.size), "fetched" if here else "")
        rows.append(tuple(Cell(text) for text in cells))
    columns = (
        Column("name", "left"), Column("what", "left", rank=1), Column("licence", "left", rank=2, name=True),
        Column("size", rank=3), Column("here", "left", rank=1),
    )  # fmt: skip
    notes = ("`interjudge datasets show NAME`: who judged, licence and terms, where the files are",)
    print_table(Table("Public sets", columns, tuple(rows), notes), screen.console())


def show(
    name: Name,
    json: Annotated[bool, typer.Option("--json", help="All of it, as JSON on stdout.")] = False,
    sets: Sets = None,
) -> None:
    """What a set holds, its licence and terms, and where its files come from."""
    from interjudge.datasets.public import described, public_set
    from interjudge.reports.escape import json_text

    one = public_set(name, sets)
    if json:
        typer.echo(json_text(json_module.dumps(described(one), indent=2, ensure_ascii=False)))
        return
    _describe(one)


def get(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where its tables go: outputs, verdicts, reference .parquet."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="The licence is read and accepted.")] = False,
    sets: Sets = None,
    quiet: opt.Quiet = False,
) -> None:
    """Fetch a set from its project, check it, and write it as tables. Without --out it is only fetched."""
    from interjudge.datasets.public import cached, fetch, public_set
    from interjudge.pipeline import folder

    one = public_set(name, sets)
    if out is not None and out.exists():
        folder(out)
    if len(cached(one)) < len(one.files):
        _accept(one, yes, quiet)
    with screen.bars(quiet) as progress:
        paths = fetch(one, progress=progress)
    if out is None:
        for path in paths:
            typer.echo(str(path))
        return
    from interjudge.cli_convert import convert

    convert([str(path) for path in paths], out=f"{folder(out)}/", from_=one.format, quiet=quiet)


def _accept(one: PublicSet, yes: bool, quiet: bool) -> None:
    """The licence first; then a yes on the terminal, or --yes."""
    if not quiet or not yes:
        _describe(one, err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"{one.name}: its licence is to be accepted first", expected="--yes")
    if not typer.confirm("Fetch it under this licence?", err=True):
        raise InputError(f"{one.name}: its licence was not accepted; nothing was fetched")


def _describe(one: PublicSet, *, err: bool = False) -> None:
    facts = (
        ("licence", one.licence), ("terms", one.terms), ("who judged", one.about), ("project", one.page),
        ("cite", one.cite), ("size", f"{_size(one.size)} in {len(one.files)} file{'s' * (len(one.files) > 1)}"),
    )  # fmt: skip
    typer.echo(printable(f"{one.name}: {one.title}"), err=err)
    for term, text in facts:
        if text:
            typer.echo(printable(f"  {term + ':':12} {text}"), err=err)
    for file in one.files:
        typer.echo(printable(f"  {'file:':12} {one.url(file)}"), err=err)
        typer.echo(printable(f"  {'SHA-256:':12} {file.sha256}"), err=err)


def _size(n: int) -> str:
    return f"{n / _MEGA:.1f} MB" if n >= _MEGA / 10 else f"{n / 1000:.0f} kB"
