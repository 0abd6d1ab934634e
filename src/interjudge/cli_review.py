"""`interjudge review`: label the outputs that tell most, on a page of your own machine."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interjudge import cli_options as opt
from interjudge import cli_screen as screen
from interjudge.errors import InputError, printable

if TYPE_CHECKING:
    from interjudge.agreement.analysis import QuestionSpec, Tables
    from interjudge.review_queue import Queue
    from interjudge.review_server import Review

EPILOG = "Example: `interjudge review verdicts.parquet --outputs outputs.jsonl --out labels.jsonl --reviewer ana`"
_PAGE = "The page"
_SHOWN = ("judge", "judge_kind", "construct", "repeat", "status", "label", "score", "rationale")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EPILOG)(review)


def review(
    verdicts: opt.Verdicts,
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="The labels; a review that is there goes on.")],
    outputs: Annotated[str, typer.Option(metavar="FILE", help="The outputs: what is read to label them.")],
    next_: Annotated[int, typer.Option("--next", min=1, metavar="N", help="How many outputs to label.")] = 100,
    random_share: Annotated[
        float, typer.Option(min=0, max=1, metavar="X", help="Share of these that is drawn at random.")
    ] = 0.25,
    doubtful_first: Annotated[
        bool,
        typer.Option(
            "--doubtful-first", help="Strictly the most doubtful first; the rate then comes at the end alone."
        ),
    ] = False,
    reviewer: Annotated[str, typer.Option(metavar="NAME", help="Your name, else the page asks for it.")] = "",
    judge: opt.Judges = None,
    judge_columns: opt.JudgeColumns = None,
    reference: opt.Reference = None,
    gold_column: opt.ReferenceColumn = None,
    construct: opt.Construct = None,
    labels: opt.Labels = None,
    map_: opt.Maps = None,
    threshold: opt.Thresholds = None,
    positive: opt.Positive = None,
    seed: opt.Seed = 0,
    confidence: opt.Confidence = 0.95,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.", rich_help_panel=_PAGE)] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.", rich_help_panel=_PAGE)
    ] = True,
    quiet: opt.Quiet = False,
) -> None:
    """Label outputs on a local page: those that tell most first, blind to the judges, saved at every click.

    The labels are the verdicts of a human judge: name them beside the others (`interjudge report verdicts.parquet
    labels.jsonl --reference ana`), or as `--gold labels.jsonl`. Ctrl-C ends; the same command goes on.
    """
    from interjudge.agreement.analysis import build
    from interjudge.datasets.write import check_target
    from interjudge.review_labels import Labels
    from interjudge.review_queue import keep_queue, kept_queue, make_queue, queue_path
    from interjudge.review_server import reviewer_name

    if out.suffix != ".jsonl":
        raise InputError("labels are written as JSON Lines", file=out, expected="a name that ends in .jsonl")
    for path in (out, queue_path(out)):
        check_target(path, inputs=opt.inputs_of(verdicts, outputs, reference), table=False)
    reviewer = reviewer_name(reviewer) if reviewer else ""
    kept, given = kept_queue(out), Labels(out)
    given.rows()  # a file of something else is said now
    spec = opt.question_spec(construct, labels, positive, None, map_, threshold)
    if kept is not None:
        _refuse_other_question(kept, out, spec)
    with screen.working("reading the verdicts", quiet=quiet):
        loaded = opt.load(
            verdicts, judge_columns, outputs, reference, gold_column, (), judge, tell=screen.tell_found(quiet)
        )
    automatic = _automatic(loaded, reviewer)
    if kept is None:
        with screen.working("choosing outputs", quiet=quiet):
            panel = build(spec, loaded)
            opt.refuse_silent(reference, panel)
            made = make_queue(panel, next_, random_share=random_share, doubtful_first=doubtful_first, seed=seed)
        _refuse_textless(made, loaded, outputs)
        with given.locked():  # of two reviews that begin at the same time, one makes the queue of both
            kept = kept_queue(out)
            if kept is None:
                keep_queue(made, out)
                kept = made
    _refuse_textless(kept, loaded, outputs)
    _serve(_review(kept, given, loaded, confidence, reviewer, automatic), port, browser=browser, quiet=quiet)


def _review(queue: Queue, given: Any, loaded: Tables, confidence: float, reviewer: str, automatic: set[str]) -> Review:
    import polars as pl

    from interjudge.reports.escape import visible, visible_lines
    from interjudge.review_server import Review

    assert loaded.outputs is not None
    ids = [item.item_id for item in queue.items]
    texts = loaded.outputs.filter(pl.col("item_id").is_in(ids))
    known = [c for c in ("prompt", "response", "model", "benchmark", "category") if c in texts.columns]
    about: dict[str, dict[str, str]] = {
        row["item_id"]: {c: str(row[c] or "") for c in known} for row in texts.iter_rows(named=True)
    }
    shown = [c for c in _SHOWN if c in loaded.verdicts.columns]
    verdicts: dict[str, list[dict[str, Any]]] = {}
    for row in loaded.verdicts.filter(pl.col("item_id").is_in(ids)).iter_rows(named=True):
        cells = {c: visible_lines(row[c]) if isinstance(row[c], str) else row[c] for c in shown}
        verdicts.setdefault(row["item_id"], []).append({**cells, "judge": visible(row["judge"], 200)})
    return Review(queue, given, about, verdicts, confidence, reviewer, automatic)


def _automatic(loaded: Tables, reviewer: str) -> set[str]:
    """The names of the judges that are no people; a reviewer's is none of them."""
    names = set(loaded.verdicts.filter(loaded.verdicts["judge_kind"] != "human")["judge"])
    if reviewer in names:
        raise InputError("the reviewer's name is that of a judge", found=reviewer, expected="another --reviewer")
    return names


def _refuse_other_question(queue: Queue, out: Path, spec: QuestionSpec) -> None:
    """What was begun goes on with its own question, and no other."""
    begun = (queue.construct_name, set(queue.labels))
    if (spec.construct or begun[0], set(spec.labels or begun[1])) != begun:
        raise InputError(
            f"was begun for {queue.construct_name}: {', '.join(queue.labels)}",
            file=out, expected="another --out for another question",
        )  # fmt: skip


def _refuse_textless(queue: Queue, loaded: Tables, outputs: str) -> None:
    """Every output of the queue must be there to be read."""
    assert loaded.outputs is not None
    there = set(loaded.outputs["item_id"])
    missing = [item.item_id for item in queue.items if item.item_id not in there]
    if missing:
        raise InputError(
            f"{len(missing):,} of the {len(queue.items):,} outputs to review are not in it, the first {missing[0]!r}",
            file=outputs, expected="the outputs that the verdicts are on",
        )  # fmt: skip


def _serve(review: Review, port: int, *, browser: bool, quiet: bool) -> None:
    """Until Ctrl-C."""
    from interjudge.review_server import ReviewServer

    try:
        server = ReviewServer(review, port)
    except OSError as error:
        expected = "another --port, or none"
        raise InputError(f"port {port} cannot be used: {error.strerror}", expected=expected) from None
    rows = len(review.labels.rows())
    are = "label is" if rows == 1 else "labels are"
    typer.echo(f"{len(review.queue.items):,} outputs to label at {server.url}")
    if rows:
        typer.echo(f"{rows:,} {are} in {printable(str(review.labels.path))} already")
    if not quiet:
        typer.echo("Ctrl-C ends; every label is saved when it is given, and the same command goes on")
    if browser:
        threading.Thread(target=_open, args=(server.url,), daemon=True).start()
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    rows = len(review.labels.rows())
    path = printable(str(review.labels.path))
    typer.echo(f"\n{rows:,} label{'s' * (rows != 1)} in {path}")
    if rows:
        typer.echo(f"use them: interjudge report VERDICTS --gold {path} --outputs OUTPUTS --out report")


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)
