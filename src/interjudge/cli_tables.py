"""Small tables that single commands print: verdicts by judge, flags, judges there are, the cross-check."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from interjudge.judges.messages import without_secrets
from interjudge.reports.escape import json_text, terminal, visible
from interjudge.reports.section_truth import calibration_sentences, calibration_tables, rule_in_words
from interjudge.reports.table import Cell, Column, Table
from interjudge.reports.terminal import print_table, print_text
from interjudge.reports.wording import count, names, percent, status_name

if TYPE_CHECKING:
    from rich.console import Console

    from interjudge.agreement.crosscheck import Check
    from interjudge.agreement.results import FlagSummary
    from interjudge.judges.registry import Described, Listed

_MANY_LABELS = 4
_SUSPECTS = 5
_ERROR = 300  # characters of an error
_VALUE = 300  # characters of a value of a judge's identity


def print_scores(verdicts: pl.DataFrame, console: Console, notes: Sequence[str] = ()) -> None:
    """What every judge said: how many verdicts are usable, how often each label, what failed, how and why."""
    rows = []
    for judge in verdicts["judge"].unique(maintain_order=True):
        own = verdicts.filter(pl.col("judge") == judge)
        ok = own.filter(pl.col("status") == "ok")
        failed = own.filter(pl.col("status") != "ok")["status"].cast(pl.String).value_counts(sort=True)
        rows.append(
            (
                Cell(judge),
                Cell(count(own.height)),
                Cell(count(ok.height)),
                Cell(_said(ok)),
                Cell(", ".join(f"{count(n)} {status_name(status)}" for status, n in failed.iter_rows())),
            )
        )
    columns = (
        Column("judge", "left", name=True),
        Column("verdicts"),
        Column("ok"),
        Column("said", "left", rank=1),
        Column("not ok", "left", rank=2),
    )
    why = tuple(f"{judge}: {words}" for judge, words in _commonest_errors(verdicts).items())
    print_table(Table("Verdicts by judge", columns, tuple(rows), (*why, *notes)).without_empty(), console)


def silent_judges(verdicts: pl.DataFrame) -> list[str]:
    """A sentence for each judge that has no usable verdict at all, with its commonest error."""
    counts = verdicts.group_by("judge", maintain_order=True).agg(n=pl.len(), ok=(pl.col("status") == "ok").sum())
    errors = _commonest_errors(verdicts)
    return [
        f"no verdict of {terminal(judge)} is ok, of {count(n)}"
        + (f": {terminal(errors[judge])}" if judge in errors else "")
        for judge, n, ok in counts.iter_rows()
        if not ok
    ]


def _commonest_errors(verdicts: pl.DataFrame) -> dict[str, str]:
    """Judge -> how often its commonest error came, and which; only judges with errors that say something."""
    if "raw" not in verdicts.columns:
        return {}
    counts = (
        verdicts.filter((pl.col("status") == "error") & pl.col("raw").is_not_null())
        .group_by("judge", "raw", maintain_order=True)
        .len()
        .sort(["len", "raw"], descending=[True, False])
        .unique("judge", keep="first", maintain_order=True)
    )
    # A judge may write its errors itself, at any length and with anything in them.
    return {judge: f"{count(n)} x {visible(without_secrets(raw), _ERROR)}" for judge, raw, n in counts.iter_rows()}


def _said(ok: pl.DataFrame) -> str:
    labels = ok["label"].drop_nulls().value_counts(sort=True).sort(["count", "label"], descending=[True, False])
    shown = [f"{label} {percent(n / max(ok.height, 1))}" for label, n in labels.head(_MANY_LABELS).iter_rows()]
    more = [f"{labels.height - _MANY_LABELS} more labels"] if labels.height > _MANY_LABELS else []
    if not shown and ok["score"].drop_nulls().len():
        return "scores {:g} to {:g}".format(*ok.select(pl.col("score").min(), high=pl.col("score").max()).row(0))
    return ", ".join(shown + more)


def print_flags(summary: FlagSummary, console: Console, readers: Sequence[str] = ()) -> None:
    """How much is flagged, and why."""
    rows = tuple((Cell(reason), Cell(count(n))) for reason, n in summary.by_reason.items())
    share = percent(summary.n_flagged / summary.n_verdicts) if summary.n_verdicts else "none"
    title = (
        f"{count(summary.n_flagged)} of {count(summary.n_verdicts)} verdicts flagged ({share}), "
        f"on {count(summary.n_items_flagged)} of {count(summary.n_items)} items"
    )
    notes = [rule_in_words(summary)]
    if summary.why != summary.model:
        notes.append(summary.why)
    if readers:
        notes.append(f"read the responses for reasons: {names(readers)}")
    if summary.threshold is None and summary.n_not_ok:
        notes.append(f"{count(summary.n_not_ok, 'verdict')} that are not ok are listed, not counted as flagged")
    if rows:
        print_table(Table(title, (Column("reason", "left", name=True), Column("flagged")), rows, tuple(notes)), console)
    else:
        print_text(f"{title}; {'; '.join(notes)}", console)
    for sentence in calibration_sentences(summary):
        print_text(sentence, console)
    for table in calibration_tables(summary):
        print_table(table, console)


def print_suspects(verdicts: pl.DataFrame, console: Console) -> None:
    """The verdicts that are most likely wrong, highest `p_wrong` first; not those that a reference decides."""
    known = [pl.col("reasons").list.contains(reason) for reason in ("contradicts the reference", "no other judge")]
    decided = pl.any_horizontal(pl.col("p_wrong") == 0, *known)
    top = (
        verdicts.drop_nulls("p_wrong")
        .filter(~decided)
        .sort(["p_wrong", "item_id", "judge"], descending=[True, False, False], maintain_order=True)
    )
    rows = tuple(
        (
            Cell(row["item_id"]),
            Cell(row["judge"]),
            Cell(row["label"]),
            Cell(f"{row['p_wrong']:.2f}"),
            Cell("; ".join(row["reasons"])),
        )
        for row in top.head(_SUSPECTS).iter_rows(named=True)
    )
    columns = (
        Column("item", "left", name=True),
        Column("judge", "left", name=True),
        Column("label", "left", name=True),
        Column("p_wrong"),
        Column("reasons", "left", rank=1),
    )
    if rows:
        print_table(Table("Most likely wrong", columns, rows).without_empty(), console)


def print_judges(listing: Sequence[Listed], console: Console) -> None:
    """Every judge that can be named on the command line, by family."""
    for source in dict.fromkeys(line.source for line in listing):
        family = [line for line in listing if line.source == source]
        measures = ", ".join(dict.fromkeys(line.construct for line in family if line.construct))
        for line in family:
            problem = f"  not usable: {line.problem}" if line.problem else ""
            print_text(f"{line.name}{problem}", console, style="bold")
        about = next((line.summary for line in family if line.summary), "")
        print_text(about + (f" (measures {measures})" if measures else ""), console, indent=4)
    print_text("interjudge judges show NAME tells all that decides a judge's verdicts.", console)


def print_judge(judge: Described, console: Console) -> None:
    """Everything that decides one judge's verdicts."""
    facts = {
        "judge": judge.name,
        "what": judge.summary,
        "measures": f"{judge.construct} ({judge.kind})",
        "labels": ", ".join(judge.labels) or "scores alone",
        "threshold": "none" if judge.threshold is None else f"{judge.threshold:g}",
        "reads": ", ".join(judge.reads),
        "hash": judge.hash,
        "from": judge.source,
    }
    for name, value in facts.items():
        console.print(f"{name:>10}  {terminal(value)}", markup=False, soft_wrap=True)
    for name, given in judge.identity.items():
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)
        shown = terminal(text)
        if len(shown) > _VALUE:
            shown = f"{shown[:_VALUE]}... ({len(text):,} characters; in full with --json)"
        console.print(f"{terminal(name):>10}  {shown}", markup=False, soft_wrap=True)


def judge_json(judge: Described) -> str:
    """Everything that decides one judge's verdicts, uncut, as a JSON object."""
    return json_text(json.dumps(vars(judge), ensure_ascii=False, indent=2, default=str)) + "\n"


def print_cross_check(checks: Sequence[Check], console: Console) -> None:
    """Our figures beside those of other libraries, and the largest difference."""
    from interjudge.agreement.crosscheck import NOT_INSTALLED

    rows = tuple(
        (
            Cell(check.name.partition(": ")[0]),
            Cell(check.name.partition(": ")[2]),
            Cell(check.library),
            Cell("—" if check.ours is None else f"{check.ours:.12f}"),
            Cell("—" if check.theirs is None else f"{check.theirs:.12f}"),
            Cell("" if check.difference is None else f"{check.difference:.1e}"),
            Cell(check.note or ""),
        )
        for check in checks
    )
    columns = (
        Column("coefficient", "left"),
        Column("judges", "left", rank=1, name=True),
        Column("library", "left", rank=1),
        Column("ours", rank=2),
        Column("theirs", rank=2),
        Column("difference"),
        Column("", "left", rank=3),
    )
    known = [check.difference for check in checks if check.difference is not None]
    largest = f"largest difference {max(known):.1e}" if known else "nothing could be compared"
    print_table(Table(f"Cross-check: {largest}", columns, rows).without_empty(), console)
    absent = sorted({check.library for check in checks if check.note == NOT_INSTALLED})
    if absent:
        console.print(f"  not installed: {', '.join(absent)} (pip install {' '.join(absent)})", markup=False)
