"""The terminal as the commands see it: consoles, spinners and progress bars, silent where nobody looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interjudge.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

    from interjudge.datasets.foreign import Found, Tell
    from interjudge.judges.estimate import Plan
    from interjudge.judges.remote_work import Tally

Progress = Callable[[str, int, int], None]

_LINES_S: Final = 20.0  # between two lines of progress where there is no terminal


@dataclass(frozen=True)
class Screen:
    """What a run shows: `progress` and `watch` while it goes on (see `judges.runner.score`), `tell` in any case."""

    progress: Progress | None
    watch: Callable[[Sequence[Tally]], None] | None
    tell: Callable[[str], None]


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=False)


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """A spinner on a terminal's standard error while something slow goes on; nothing elsewhere."""
    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        yield
        return
    with screen.status(what):
        yield


def tell_found(quiet: bool) -> Tell | None:
    """Says on standard error what was understood of a file of another tool."""
    if quiet:
        return None

    def tell(found: Found) -> None:
        import typer

        from interjudge.datasets.foreign import understood

        typer.echo(printable(understood(found)), err=True)

    return tell


def counted(progress: Progress | None, done: dict[str, tuple[int, int]]) -> Progress:
    """The callback `progress` that also keeps in `done` how far each judge has come: (done, total)."""

    def update(what: str, n: int, total: int) -> None:
        done[what] = (n, total)
        if progress is not None:
            progress(what, n, total)

    return update


@contextmanager
def bars(quiet: bool = False) -> Iterator[Progress | None]:
    """A callback `(what, done, total)` that draws one bar for each `what`."""
    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        yield None
        return
    from rich import progress as rich_progress
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with rich_progress.Progress(*columns, console=screen, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield update


@contextmanager
def run(quiet: bool = False) -> Iterator[Screen]:
    """Bars for all judges, with what those behind a network cost; lines now and then where there is no terminal."""
    screen = console(stderr=True)

    def tell(words: str) -> None:
        screen.print(f"interjudge: {printable(words)}", markup=False, soft_wrap=True)

    if quiet:
        yield Screen(None, None, tell)
        return
    if not screen.is_terminal:
        yield Screen(None, _lines(tell), tell)
        return
    from rich import progress as rich_progress
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn

    said = TextColumn("{task.fields[said]}", markup=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn(), said)
    # Each picture of the bars takes as long as a few requests.
    with rich_progress.Progress(*columns, console=screen, transient=True, refresh_per_second=4) as progress:
        tasks: dict[str, TaskID] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(printable(what), total=total, said="")
            progress.update(tasks[what], completed=done, total=total)

        def watch(tallies: Sequence[Tally]) -> None:
            for tally in tallies:
                update(tally.judge, tally.done, tally.total)
                progress.update(tasks[tally.judge], said=_said(tally))

        yield Screen(update, watch, tell)


def _lines(tell: Callable[[str], None]) -> Callable[[Sequence[Tally]], None]:
    due = time.monotonic() + _LINES_S

    def watch(tallies: Sequence[Tally]) -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        due = time.monotonic() + _LINES_S
        for tally in tallies:
            if tally.done < tally.total:
                tell(f"{tally.judge}: {tally.done:,} of {tally.total:,} · {_said(tally)}")

    return watch


def _said(tally: Tally) -> str:
    cost = "" if tally.cost_usd is None else dollars(tally.cost_usd)
    parts = (f"{tally.ok:,} ok, {tally.not_ok:,} not", f"{tally.rate:.3g}/s", cost, _left(tally), tally.state)
    return " · ".join(filter(None, parts))


def _left(tally: Tally) -> str:
    if tally.seconds_left is None:
        return ""
    minutes, seconds = divmod(round(tally.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"


def dollars(usd: float) -> str:
    """`$12.30`, and to two digits where it is less than a cent."""
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.2g}"


def print_plans(plans: Sequence[Plan], screen: Console, *, budget: float | None = None) -> None:
    """What a run would ask and cost."""
    from interjudge.reports.table import Cell, Column, Table
    from interjudge.reports.terminal import print_table
    from interjudge.reports.wording import count

    rows = []
    for plan in plans:
        remote = plan.model is not None
        price = "price not known" if plan.cost_usd is None else dollars(plan.cost_usd)
        tokens = [count(n) if n is not None else "" for n in (plan.input_tokens, plan.output_tokens)]
        cells = (plan.judge, count(plan.total), count(plan.stored), count(plan.left), *tokens, price if remote else "")
        rows.append(tuple(Cell(text) for text in cells))
    columns = (
        Column("judge", "left", name=True), Column("verdicts"), Column("stored", rank=2), Column("to ask"),
        Column("tokens in", rank=1), Column("tokens out, at most", rank=1), Column("USD, at most"),
    )  # fmt: skip
    print_table(Table("What would be asked", columns, tuple(rows), tuple(_plan_notes(plans, budget))), screen)


def _plan_notes(plans: Sequence[Plan], budget: float | None) -> Iterator[str]:
    remote = [plan for plan in plans if plan.model is not None]
    if not remote:
        return
    if waiting := sum(plan.in_batches for plan in remote):
        yield f"{waiting:,} more lie in a batch under way: --batch (batch = true) collects them"
    known = [plan.cost_usd for plan in remote if plan.cost_usd is not None]
    if known:
        unknown = len(remote) - len(known)
        but = f", and what {unknown} without a known price cost{'s' * (unknown == 1)}" if unknown else ""
        yield f"all together at most {dollars(sum(known))}{but}; the prices are yours to check (--prices FILE)"
        if budget is not None and sum(known) > budget:
            yield f"--max-cost may end it before: {dollars(budget)}"
    else:
        yield "no price is known; a file of your own gives it (--prices FILE)"
    yield "requests that repair a reply or are sent again after a failure come on top; nothing was asked"
    if any(plan.sampled for plan in remote):
        yield "tokens are those of a sample, scaled up"


def written(paths: Sequence[Path | str | None]) -> list[str]:
    """A line for each file; the images of a report are one line, where the first of them stands."""
    names = [str(path) for path in paths]
    images = [name for name in names if name.endswith(".png")]
    if len(images) < 2:
        return names
    many = f"{Path(images[0]).parent} ({len(images)} images)"
    return [many if name == images[0] else name for name in names if name not in images[1:]]
