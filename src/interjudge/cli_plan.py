"""`interjudge plan`: how much is enough, and which outputs to label next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interjudge import cli_options as opt
from interjudge import cli_screen as screen

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from interjudge.agreement.analysis import Tables
    from interjudge.agreement.results_plan import PlanResult

EPILOG = "Example: `interjudge plan verdicts.parquet --reference human --width 0.1 --next 50 --out label-these.csv`"
_PLAN = "What is planned"
_SHOWN = 8


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EPILOG)(plan)


def plan(
    verdicts: opt.Verdicts,
    judge: opt.Judges = None,
    judge_columns: opt.JudgeColumns = None,
    from_: opt.From = None,
    outputs: opt.Outputs = None,
    reference: opt.Reference = None,
    gold_column: opt.ReferenceColumn = None,
    width: Annotated[
        float, typer.Option(metavar="W", help="Full width of the intervals to plan for.", rich_help_panel=_PLAN)
    ] = 0.1,
    target: Annotated[float, typer.Option(metavar="R", help="Reliability to reach.", rich_help_panel=_PLAN)] = 0.8,
    power: Annotated[
        float,
        typer.Option(metavar="P", help="Power of the test between the two best judges.", rich_help_panel=_PLAN),
    ] = 0.8,
    next_: Annotated[
        int, typer.Option("--next", min=0, metavar="N", help="How many outputs to label next.", rich_help_panel=_PLAN)
    ] = 20,
    random_share: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="X", help="Share of these that is drawn at random.", rich_help_panel=_PLAN),
    ] = 0.25,
    construct: opt.Construct = None,
    labels: opt.Labels = None,
    map_: opt.Maps = None,
    threshold: opt.Thresholds = None,
    positive: opt.Positive = None,
    level: opt.LevelOption = None,
    cluster: opt.Cluster = None,
    replicates: opt.Replicates = 1000,
    seed: opt.Seed = 0,
    confidence: opt.Confidence = 0.95,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The outputs to label next as Parquet, CSV or JSONL; - is stdout (JSONL)."),
    ] = None,
    json: opt.JsonFile = None,
    quiet: opt.Quiet = False,
) -> None:
    """How many judges, outputs, repeats and reference labels are enough, and which outputs to label next.

    Of the outputs in --out every one has its probability of being drawn: with a column gold added, the file is
    --gold for a report, which weights each label by one over it.
    """
    from interjudge.agreement.analysis import build
    from interjudge.agreement.decision import check_target
    from interjudge.agreement.label_plan import check_width
    from interjudge.agreement.plan import check_power
    from interjudge.agreement.plan import plan as make
    from interjudge.datasets.write import check_target as check_file
    from interjudge.datasets.write import check_targets, write_table, write_text
    from interjudge.reports.escape import json_text

    check_width(width)
    check_target(target)
    check_power(power)
    inputs = opt.inputs_of(verdicts, outputs, reference)
    check_targets([path for path in (out, json) if path is not None], inputs=inputs, table=False)
    if out is not None:
        check_file(out, inputs=inputs)
    spec = opt.question_spec(construct, labels, positive, level, map_, threshold)
    sampling = opt.sampling_of(replicates, seed, confidence)
    with screen.working("reading the verdicts", quiet=quiet):
        tell = screen.tell_found(quiet)
        loaded = opt.load(verdicts, judge_columns, outputs, reference, gold_column, None, judge, from_, tell)
    with screen.working("planning", quiet=quiet):
        panel = build(spec, loaded, columns=_model_column(loaded), cluster=cluster)
        opt.refuse_silent(reference, panel)
        truth = None
        if panel.question.labels:
            from interjudge.agreement.latent import estimate_truth

            truth = estimate_truth(panel.codes, len(panel.question.labels), seed=seed)  # blind, as in a report
        found = make(
            panel, loaded.verdicts, truth=truth, sampling=sampling, width=width, target=target, power=power,
            n_next=next_, random_share=random_share,
        )  # fmt: skip
    if json is not None:
        write_text(json_text(found.result.model_dump_json(indent=2)) + "\n", json, inputs=inputs)
    if out is not None:
        write_table(_with_texts(found.next_items, loaded), out, inputs=inputs)
    aside = "-" in (json, out)
    if not quiet:
        _print(found.result, found.next_items, screen.console(stderr=aside))
    for path in (json, out):
        if path not in (None, "-"):
            typer.echo(f"wrote {Path(str(path))}", err=aside)


def _with_texts(items: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """With prompt and response, where they are at hand: what a human needs who labels from the file."""
    if tables.outputs is None:
        return items
    names = [name for name in ("prompt", "response") if name in tables.outputs.columns]
    return items.join(tables.outputs.select("item_id", *names), on="item_id", how="left", maintain_order="left")


def _model_column(tables: Tables) -> tuple[str, ...]:
    there = [tables.verdicts, *([tables.outputs] if tables.outputs is not None else [])]
    return ("model",) if any("model" in frame.columns for frame in there) else ()


def _print(found: PlanResult, items: pl.DataFrame, console: Console) -> None:
    from interjudge.reports.section_plan import next_table, sentences, tables
    from interjudge.reports.terminal import ROWS, print_bullets, print_table

    print_bullets(sentences(found, None), console)
    for table in tables(found, None, ROWS):
        print_table(table, console, "with --json FILE")
    if items.height:
        print_table(next_table(items.iter_rows(named=True), _SHOWN), console, "with --out FILE")
