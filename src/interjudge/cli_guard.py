"""`interjudge guard check`: one guard asked in several ways, which must answer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from interjudge import cli_options as opt
from interjudge import cli_screen as screen

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from interjudge.judges.guard_check import Difference

NOT_MET = 3  # as in `interjudge.cli`

guard_app = typer.Typer(help="Guard models on this machine.", no_args_is_help=True, add_completion=False)


def register(app: typer.Typer) -> None:
    app.add_typer(guard_app, name="guard")


@guard_app.callback()
def _guard() -> None:
    """Guard models on this machine."""


@guard_app.command(epilog="Example: `interjudge guard check guard/llama-guard-3-1b --outputs outputs.jsonl --limit 8`")
def check(
    guard: Annotated[str, typer.Argument(metavar="GUARD", help="A guard on this machine, as after -j of `score`.")],
    outputs: Annotated[str, typer.Option("--outputs", metavar="FILE", help="Outputs to ask it about.")],
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many of them: the first N.")] = 8,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask a server with the same guard too (vLLM and the like).")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="What the server calls it.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="P", help="How far a probability may be off.")
    ] = None,
    quiet: opt.Quiet = False,
) -> None:
    """Ask a guard about some outputs one at a time, in batches, with the shared beginning computed once, and a server.

    Prints the largest difference in probability and whether the labels agree. Exit code 3 where they do not, a
    probability is off by more than --tolerance (.01), or there is no verdict to compare.
    """
    from interjudge.datasets.outputs import read_outputs
    from interjudge.judges.guard_check import TOLERANCE, check_guard, server_spec
    from interjudge.judges.registry import get_judge

    spec = guard if guard.startswith("guard/") else f"guard/{guard}"
    judge = get_judge(spec)
    server = get_judge(server_spec(spec, base_url, model)) if base_url is not None else None
    table = read_outputs(outputs).head(limit)
    with screen.working(f"asking {judge.name}", quiet=quiet):
        alone, found = check_guard(judge, table, server)
    allowed = TOLERANCE if tolerance is None else tolerance
    if not quiet:
        _print(judge.name, alone, found, allowed, screen.console())
    if not all(one.holds(allowed) for one in found):
        raise typer.Exit(NOT_MET)


def _print(name: str, alone: pl.DataFrame, found: list[Difference], allowed: float, console: Console) -> None:
    import polars as pl

    from interjudge.judges.guard_check import why_not
    from interjudge.reports.table import Cell, Column, Table
    from interjudge.reports.terminal import print_table

    columns = (
        Column("asked", "left", name=True),
        Column("outputs"),
        Column("largest difference"),
        Column("at", "left", rank=1),
        Column("other labels"),
        Column("other statuses", rank=1),
        Column("", "left"),
    )
    rows = tuple(
        (
            Cell(one.way),
            Cell(str(one.n)),
            Cell("" if one.largest is None else f"{one.largest:.2g}"),
            Cell(one.item_id or ""),
            Cell(str(one.other_labels)),
            Cell(str(one.other_status)),
            Cell("holds" if one.holds(allowed) else "DIFFERS" if one.compared or one.other_status else "NO VERDICT"),
        )
        for one in found
    )
    failed = alone.filter(pl.col("status") != "ok").select(why_not()).to_series()
    notes = [
        f"beside one at a time on this machine, where {alone.height - failed.len()} of {alone.height} verdicts are ok; "
        f"a probability may be off by {allowed:g}"
    ]
    notes += [f"{one.way}: {one.without} outputs without a probability, by label alone" for one in found if one.without]
    notes += [f"{one.way}: {one.why}" for one in found if one.why]
    notes += [f"the first verdict that is not ok says: {failed[0]}"] if failed.len() else []
    print_table(Table(f"{name}, asked in several ways", columns, rows, tuple(notes)), console)
