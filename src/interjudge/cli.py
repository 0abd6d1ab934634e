"""The command line: `interjudge COMMAND --help` shows an example of each. Only the modules `cli*` print or exit."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interjudge import cli_options as opt
from interjudge import cli_screen as screen
from interjudge.cli_card import register as register_card
from interjudge.cli_convert import register as register_convert
from interjudge.cli_datasets import register as register_datasets
from interjudge.cli_end import INTERRUPTED, UNMET, check_missing, wrote
from interjudge.cli_guard import register as register_guard
from interjudge.cli_judges import register as register_judges
from interjudge.cli_plan import register as register_plan
from interjudge.cli_review import register as register_review
from interjudge.cli_run import register as register_run
from interjudge.cli_score import register as register_score
from interjudge.errors import InputError, InterjudgeError, printable

if TYPE_CHECKING:
    from interjudge.agreement.require import Requirement
    from interjudge.agreement.results import Agreement

app = typer.Typer(
    name="interjudge",
    help="How far do several judges of the same model outputs agree, whom to trust for what, and which verdicts not "
    "to trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Start with `interjudge demo`: no key, no GPU, no network.",
)


def main() -> None:
    """Entry point: errors of ours become one message and an exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character shows a question mark
            stream.reconfigure(errors="replace")
    try:
        app()
    except InterjudgeError as error:
        typer.echo(f"interjudge: {error}", err=True)
        sys.exit(error.exit_code)
    except SystemExit as end:
        asked = end.__context__.__cause__ if end.__context__ else None  # typer makes an exit of Ctrl-C
        if end.code == INTERRUPTED and isinstance(asked, KeyboardInterrupt):
            typer.echo("interjudge: stopped", err=True)
        raise
    except Exception as error:
        if os.environ.get("INTERJUDGE_DEBUG"):
            raise
        where = "this is a defect; INTERJUDGE_DEBUG=1 shows where"
        typer.echo(f"interjudge: unexpected {type(error).__name__}: {printable(str(error))} ({where})", err=True)
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        from interjudge import __version__

        typer.echo(f"interjudge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: `interjudge demo --out my-demo`")
def demo(
    out: Annotated[Path, typer.Option(help="Where the report and the tables go.")] = Path("interjudge-demo"),
    seed: opt.Seed = 0,
    redact: opt.Redact = False,
    full: opt.Full = False,
    quiet: opt.Quiet = False,
) -> None:
    """Score the bundled outputs with every judge that runs offline, add stored verdicts of others, analyse, report."""
    from interjudge.pipeline import run_demo
    from interjudge.reports.terminal import render_terminal

    with screen.bars(quiet) as progress:
        report, written = run_demo(out, seed=seed, redact=redact, progress=progress)
    if not quiet:
        render_terminal(report, screen.console(), full=full)
    wrote(written)


register_score(app)


@app.command(
    epilog="Example: `interjudge agree verdicts.parquet --reference human --by model --cluster prompt "
    "--require 'alpha>=0.667' --json agreement.json`"
)
def agree(
    verdicts: opt.Verdicts,
    judge: opt.Judges = None,
    judge_columns: opt.JudgeColumns = None,
    from_: opt.From = None,
    outputs: opt.Outputs = None,
    reference: opt.Reference = None,
    gold_column: opt.ReferenceColumn = None,
    by: opt.By = None,
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
    cross_check: Annotated[
        bool, typer.Option("--cross-check", help="Recompute through krippendorff, statsmodels and scikit-learn.")
    ] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME>=X", help="Exit with 3 unless it holds, e.g. 'alpha>=0.667'. Repeatable."),
    ] = None,
    max_missing: opt.MaxMissing = None,
    json: opt.JsonFile = None,
    quiet: opt.Quiet = False,
) -> None:
    """Reliability of the panel, its pairs and its judges, with intervals."""
    from interjudge.agreement.analysis import build
    from interjudge.agreement.measure import agree as measure
    from interjudge.agreement.require import parse_require
    from interjudge.datasets.write import check_target, write_text
    from interjudge.reports.escape import json_text
    from interjudge.reports.terminal import render_agreement

    inputs = opt.inputs_of(verdicts, outputs, reference)
    if json is not None:
        check_target(json, inputs=inputs, table=False)
    requirements = [parse_require(text) for text in require or ()]
    spec = opt.question_spec(construct, labels, positive, level, map_, threshold)
    sampling = opt.sampling_of(replicates, seed, confidence)
    columns = (*(by or ()), *((cluster,) if cluster else ()))
    with screen.working("reading the verdicts", quiet=quiet):
        tell = screen.tell_found(quiet)
        loaded = opt.load(verdicts, judge_columns, outputs, reference, gold_column, columns, judge, from_, tell)
    with screen.working("measuring", quiet=quiet):
        panel = build(spec, loaded, columns=by or (), cluster=cluster)
        opt.refuse_silent(reference, panel)
        answer = measure(panel, by=by or (), sampling=sampling)
    if json is not None:
        write_text(json_text(answer.model_dump_json(indent=2)) + "\n", json, inputs=inputs)
    console = screen.console(stderr=json == "-")
    if not quiet:
        render_agreement(answer, console)
    if cross_check:
        from interjudge.agreement.measure import cross_checked
        from interjudge.cli_tables import print_cross_check

        print_cross_check(cross_checked(panel), console)
    _check(answer, requirements, max_missing)


@app.command(epilog="Example: `interjudge flag verdicts.parquet --out flags.parquet --items items.parquet`")
def flag(
    verdicts: opt.Verdicts,
    out: Annotated[str, typer.Option(metavar="FILE", help="One row a verdict: p_wrong, flagged, reasons.")],
    items: Annotated[
        str | None, typer.Option(metavar="FILE", help="One row an item: consensus, p_consensus_wrong, entropy.")
    ] = None,
    judge: opt.Judges = None,
    judge_columns: opt.JudgeColumns = None,
    from_: opt.From = None,
    outputs: Annotated[
        str | None, typer.Option(metavar="FILE", help="The outputs: prompt, response, model, category join the flags.")
    ] = None,
    reference: opt.Reference = None,
    gold_column: opt.ReferenceColumn = None,
    construct: opt.Construct = None,
    labels: opt.Labels = None,
    map_: opt.Maps = None,
    threshold: opt.Thresholds = None,
    positive: opt.Positive = None,
    at: Annotated[
        float | None, typer.Option(min=0, max=1, help="Flag verdicts from this p_wrong on (default .5).")
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Flag at most N verdicts instead, the most likely wrong of those that differ from the consensus.",
        ),
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="Q",
            help="Flag as many as possible instead, of which a share of at most Q is expected to be right.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="latent: estimated truth, judges' errors and clones; votes: share of the other judges.")
    ] = "latent",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Which verdicts cannot be trusted: a probability and reasons for each."""
    from interjudge.agreement.analysis import build
    from interjudge.agreement.flags import flag as find
    from interjudge.cli_tables import print_flags, print_suspects
    from interjudge.datasets.outputs import joined
    from interjudge.datasets.write import check_targets, write_table
    from interjudge.side_evidence import readers, side_evidence

    inputs = opt.inputs_of(verdicts, outputs, reference)
    check_targets([out, *([items] if items is not None else [])], inputs=inputs)
    rule = opt.rule_of(at, budget, fdr)
    spec = opt.question_spec(construct, labels, positive, None, map_, threshold)
    with screen.working("reading the verdicts", quiet=quiet):
        tell = screen.tell_found(quiet)
        loaded = opt.load(verdicts, judge_columns, outputs, reference, gold_column, (), judge, from_, tell)
    with screen.working("flagging", quiet=quiet):
        panel = build(spec, loaded)
        opt.refuse_silent(reference, panel)
        evidence = side_evidence(loaded)
        found = find(panel, loaded.verdicts, rule=rule, model=opt.flag_model(model), seed=seed, evidence=evidence)
    flags = found.verdicts if loaded.outputs is None else joined(found.verdicts, loaded.outputs)
    write_table(flags, out, inputs=inputs)
    if items is not None:
        write_table(found.items, items, inputs=inputs)
    if not quiet:
        console = screen.console(stderr="-" in (out, items))
        print_flags(found.summary, console, readers(evidence))
        print_suspects(found.verdicts, console)


@app.command(
    epilog="Example: `interjudge report verdicts.parquet --outputs outputs.jsonl --out report`; what changed since: "
    "`interjudge report --compare old/report.json report/report.json`"
)
def report(
    verdicts: opt.Verdicts,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder of the report.")] = None,
    outputs: opt.Outputs = None,
    judge: opt.Judges = None,
    judge_columns: opt.JudgeColumns = None,
    from_: opt.From = None,
    reference: opt.Reference = None,
    gold_column: opt.ReferenceColumn = None,
    by: opt.By = None,
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
    epsilon: opt.Epsilon = 0.2,
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="VERDICTS are two report.json, old and new: what changed.")
    ] = False,
    redact: opt.Redact = False,
    full: opt.Full = False,
    quiet: opt.Quiet = False,
) -> None:
    """Everything on one page: report.html, a file of its own to open or attach; report.md, report.json, flags.parquet,
    items.parquet beside it."""
    from interjudge.pipeline import check_folder, make_report
    from interjudge.reports.terminal import render_terminal

    if compare:
        from interjudge.cli_compare import compare_files

        others = (outputs, judge, judge_columns, reference, by, construct, labels, map_, threshold, cluster, title)
        compare_files(verdicts, out, alone=not any(others), redact=redact, full=full, quiet=quiet)
        return
    if out is None:
        raise InputError("the folder of the report is missing", expected="--out DIR")
    inputs = opt.inputs_of(verdicts, outputs, reference)
    check_folder(out, inputs=inputs)
    spec = opt.question_spec(construct, labels, positive, level, map_, threshold)
    with screen.working("reading", quiet=quiet):
        tell = screen.tell_found(quiet)
        loaded = opt.load(verdicts, judge_columns, outputs, reference, gold_column, None, judge, from_, tell)
    with screen.working("analysing", quiet=quiet):
        made, written = make_report(
            loaded, out, questions=[spec] if spec.said else [], by=by or (), cluster=cluster,
            sampling=opt.sampling_of(replicates, seed, confidence), epsilon=epsilon, title=title, inputs=inputs,
            options=opt.choice_of(judge, judge_columns, reference, gold_column), redact=redact,
        )  # fmt: skip
    if not quiet:
        render_terminal(made, screen.console(), full=full)
    wrote(written)


register_card(app)
register_convert(app)
register_datasets(app)
register_guard(app)
register_plan(app)
register_run(app)
register_review(app)
register_judges(app)


def _check(answer: Agreement, requirements: list[Requirement], max_missing: float | None) -> None:
    unmet = [r.verdict(answer) for r in requirements if not r.holds(answer)]
    for words in unmet:
        typer.echo(f"interjudge: not met: {words}", err=True)
    ok = answer.status_counts.get("ok", 0)
    check_missing(answer.n_verdicts - ok, answer.n_verdicts, max_missing)
    if unmet:
        raise typer.Exit(UNMET)
