"""Judges asked through batch APIs, as the commands do it: send, wait or come back later, collect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from interjudge.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from interjudge.cli_screen import Progress, Screen
    from interjudge.judges.base import Judge
    from interjudge.judges.estimate import Plan
    from interjudge.judges.prices import Prices
    from interjudge.judges.store import Store


def in_batches(
    outputs: pl.DataFrame,
    judges: Sequence[Judge],
    store: Path | Store | None,
    *,
    repeats: int,
    prices: Prices,
    wait: bool,
    shown: Screen,
    progress: Progress | None = None,
    max_cost: float | None = None,
    max_requests: int | None = None,
    said: str = "--batch",
) -> tuple[list[Judge], list[pl.DataFrame]]:
    """Those judges that no batch API can ask, and the verdicts of those that were asked through one.

    Where verdicts are still to come, or something went wrong, that is said and the command ends here.

    Raises
    ------
    InputError : no judge here has a batch API, there is no store, or a batch might take more than the budget, which
        cannot end it half way. `said`: what the user asked for it with.
    """
    from interjudge.judges.batch import has_batches, score_in_batches
    from interjudge.judges.estimate import estimate

    able = [judge for judge in judges if has_batches(judge)]
    if not able:
        raise InputError(f"{said}, and no judge here has a batch API", expected="an openai/... or anthropic/... judge")
    if store is None:
        raise InputError(f"{said} needs a store, which keeps the batches", expected="--store FILE")
    if max_cost is not None or max_requests is not None:
        _check_budget(estimate(outputs, able, store=store, repeats=repeats, prices=prices, batch=True), max_cost,
                      max_requests)  # fmt: skip
    runs = score_in_batches(outputs, able, store, repeats=repeats, wait=wait, prices=prices, progress=progress)
    for run in runs:
        where = ", ".join(f"{name} ({state}, {count:,} requests)" for name, state, count in run.batches)
        under_way = f"; under way: {where}" if where and run.done < run.total else ""
        shown.tell(f"{run.judge}: {run.done:,} of {run.total:,} verdicts{under_way}")
        if run.problem:
            shown.tell(f"{run.judge}: {run.problem}")
    if any(run.problem for run in runs):
        raise typer.Exit(1)
    if any(run.done < run.total for run in runs):
        shown.tell("the same command collects what is finished by then")
        raise typer.Exit
    return [judge for judge in judges if judge not in able], [run.verdicts for run in runs]


def _check_budget(plans: Sequence[Plan], max_cost: float | None, max_requests: int | None) -> None:
    """Refuse what a budget could not end: a batch is sent as a whole."""
    from interjudge.cli_screen import dollars

    requests = sum(plan.left for plan in plans)
    if max_requests is not None and requests > max_requests:
        problem = f"batches would take {requests:,} requests, and they are sent as a whole"
        raise InputError(problem, found=f"a limit of {max_requests:,}", expected="a higher one, or --limit")
    if max_cost is None:
        return
    unknown = [plan.model for plan in plans if plan.cost_usd is None and plan.left]
    if unknown:
        problem = f"no price is known for {unknown[0]!r}, so its cost cannot be limited"
        raise InputError(problem, expected="a --prices file that names it, or --max-requests")
    cost = sum(plan.cost_usd or 0.0 for plan in plans)
    if cost > max_cost:
        problem = f"batches might cost {dollars(cost)}, and they are sent as a whole"
        raise InputError(problem, found=f"a limit of {dollars(max_cost)}", expected="a higher one, or --limit")


def together(tables: Sequence[pl.DataFrame], judges: Sequence[Judge]) -> pl.DataFrame:
    """Several verdict tables as one, the judges in the order given."""
    import polars as pl

    if len(tables) == 1:
        return tables[0]
    whole = pl.concat(tables, how="diagonal")
    names = dict.fromkeys(judge.name for judge in judges)
    return pl.concat(whole.filter(pl.col("judge") == name) for name in names)
