"""`interjudge score`: judges x outputs -> verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interjudge import cli_options as opt
from interjudge import cli_screen as screen
from interjudge.cli_end import INTERRUPTED, check_missing, wrote
from interjudge.cli_ray import Cluster, default_parts, score_with_ray
from interjudge.errors import InputError

if TYPE_CHECKING:
    import polars as pl

EPILOG = "Example: `interjudge score outputs.jsonl -j keyword:default -j coherence:heuristic --out verdicts.parquet`"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EPILOG)(score)


def score(
    outputs: Annotated[str, typer.Argument(help="Outputs with prompt and response: JSONL, CSV, Parquet; - is stdin.")],
    judge: Annotated[
        list[str], typer.Option("--judge", "-j", metavar="JUDGE", help="See `interjudge judges`. Repeatable.")
    ],
    from_: opt.From = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Verdicts as Parquet, JSONL or CSV; - is stdout (JSONL).")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="DB",
            help="The verdict store, from which a run resumes; default the name of --out with .db, else that of the "
            "outputs (outputs.db), for stdin verdicts.db. With --out - there is none unless it is named here. With "
            "--engine ray a folder of Parquet files, a path or an address (s3://...).",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N outputs.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Ask each judge so many times.")] = 1,
    redo: Annotated[bool, typer.Option("--redo", help="Ask again for verdicts that are stored already.")] = False,
    concurrency: opt.Concurrency = None,
    rpm: opt.Rpm = None,
    tpm: opt.Tpm = None,
    max_cost: opt.MaxCost = None,
    max_requests: opt.MaxRequests = None,
    timeout: opt.Timeout = None,
    prices: opt.PricesFile = None,
    dry_run: opt.DryRun = False,
    batch: opt.Batch = False,
    no_wait: opt.NoWait = False,
    engine: opt.Engine = "local",
    workers: opt.Workers = None,
    worker_gpus: opt.WorkerGpus = 0,
    ray_address: opt.RayAddress = None,
    max_missing: opt.MaxMissing = None,
    quiet: opt.Quiet = False,
) -> None:
    """Judges x outputs -> verdicts. Resumes where it stopped; nothing that is stored is asked again.

    Exit code 1 where a judge gave no usable verdict at all; what there is has been written then.
    """
    from interjudge.cli_batch import in_batches, together
    from interjudge.datasets.outputs import read_outputs
    from interjudge.datasets.write import check_target
    from interjudge.judges.prices import read_prices
    from interjudge.judges.registry import get_judge
    from interjudge.judges.runner import score as run

    if batch and redo:
        raise InputError("--batch does not go with --redo", expected="--batch alone, or another --store")
    if out is not None:
        check_target(out, inputs=[outputs])
    cluster = Cluster(engine, workers, worker_gpus, ray_address)
    service = {"--dry-run": dry_run, "--batch": batch, "--max-cost": max_cost, "--max-requests": max_requests}
    if cluster.is_ray([name for name, value in service.items() if value]):
        parts = store or default_parts(outputs, out)
        found = score_with_ray(
            outputs, judge, parts, cluster, repeats=repeats, redo=redo, limit=limit, from_=from_, quiet=quiet
        )
        _finish(found, out, [outputs], parts, quiet=quiet, max_missing=max_missing)
        return
    judges = [get_judge(spec) for spec in judge]
    inputs = [outputs, *(file for one in judges for file in one.files), *([str(prices)] if prices is not None else [])]
    if out is not None:
        check_target(out, inputs=inputs)
    db = Path(store) if store is not None else opt.default_store(outputs, out)
    if db is not None:
        check_target(db, inputs=inputs, table=False)
    with screen.working("reading the outputs", quiet=quiet):
        table = read_outputs(outputs, limit=limit, format=from_, tell=screen.tell_found(quiet))
    if dry_run:
        from interjudge.judges.estimate import estimate

        plans = estimate(table, judges, store=db, redo=redo, repeats=repeats, prices=prices, batch=batch)
        screen.print_plans(plans, screen.console(), budget=max_cost)
        return
    done: dict[str, tuple[int, int]] = {}
    collected: list[pl.DataFrame] = []
    try:
        with screen.run(quiet) as shown:
            counted = screen.counted(shown.progress, done)
            asked = judges
            if batch:
                asked, collected = in_batches(
                    table, judges, db, repeats=repeats, prices=read_prices(prices), wait=not no_wait, shown=shown,
                    progress=counted, max_cost=max_cost, max_requests=max_requests,
                )  # fmt: skip
            if asked or not collected:
                collected.append(
                    run(
                        table, asked, store=db, redo=redo, repeats=repeats, progress=counted, watch=shown.watch,
                        tell=shown.tell, concurrency=concurrency, rpm=rpm, tpm=tpm, max_cost=max_cost,
                        max_requests=max_requests, timeout=timeout, prices=prices,
                    )
                )  # fmt: skip
    except KeyboardInterrupt:
        _stopped(db, done)
        raise typer.Exit(INTERRUPTED) from None
    from interjudge.judges.store import store_notes

    verdicts = together(collected, judges)
    notes = store_notes(db) if db is not None else ()
    _finish(verdicts, out, inputs, db, quiet=quiet, max_missing=max_missing, notes=notes)


def _finish(
    verdicts: pl.DataFrame, out: str | None, inputs: Sequence[str], store: Path | str | None, *,
    quiet: bool, max_missing: float | None, notes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write what was scored, say what there is, and check that it is enough."""
    from interjudge.cli_tables import print_scores
    from interjudge.datasets.write import write_table

    if out is not None:
        write_table(verdicts, out, inputs=inputs)
    if not quiet:
        print_scores(verdicts, screen.console(stderr=out == "-"), notes=notes)
    wrote([path for path in (store, out) if path not in (None, "-")], err=out == "-")
    _check_silent(verdicts)
    check_missing(verdicts.filter(verdicts["status"] != "ok").height, verdicts.height, max_missing)


def _stopped(db: Path | None, done: dict[str, tuple[int, int]]) -> None:
    if db is None:
        typer.echo("interjudge: stopped; nothing is stored (name a --store to resume from)", err=True)
        return
    stored = ", ".join(f"stored {n:,} of {total:,} verdicts of {judge}" for judge, (n, total) in done.items())
    typer.echo(f"interjudge: stopped; {stored or 'nothing was asked'}, in {db}. The same command resumes.", err=True)


def _check_silent(verdicts: pl.DataFrame) -> None:
    from interjudge.cli_tables import silent_judges

    silent = silent_judges(verdicts)
    for words in silent:
        typer.echo(f"interjudge: {words}", err=True)
    if silent:
        raise typer.Exit(1)
