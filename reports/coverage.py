"""What the figures rest on, in sentences: constructs, judges left out, missing verdicts, notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from interjudge.agreement.results import (
    Agreement,
    Conclusions,
)
from interjudge.datasets.schema import NO_CONSTRUCT
from interjudge.reports.escape import visible
from interjudge.reports.wording import (
    count,
    listed,
    names,
    percent,
    quote,
    share,
    status_name,
)

_MISMATCH: Final = (
    "A judge of refusal and a judge of harm answer different questions: "
    "an answer may neither refuse nor do harm, and a refusal may still contain harm."
)


def constructs(a: Agreement) -> tuple[str, ...]:
    """Judges of different constructs, or of another than the question's, that a map brought onto it."""
    groups: dict[str, list[str]] = {}
    for judge in a.judges:
        groups.setdefault(judge.construct_name, []).append(judge.judge)
    if set(groups) == {NO_CONSTRUCT}:
        return ("No judge states what it measures; the verdicts are compared as they stand.",)
    asked = a.question.construct_name
    stated = {name: members for name, members in groups.items() if name != NO_CONSTRUCT}
    if not set(stated) - {asked}:
        return ()
    said = listed([f"{quote(name, 40)} by {names(members)}" for name, members in stated.items()])
    words = f" {_MISMATCH}" if {"refusal", "harm"} <= {*stated, asked} else ""
    part = "disagreement" if len(stated) > 1 else "error"
    return (
        f"Not the same thing is measured: the question is {quote(asked, 40)}, what the judges measure is {said}. "
        f"They are compared because a map says so, and part of what looks like {part} is that mismatch.{words}",
    )


def left_out(a: Agreement) -> tuple[str, ...]:
    """Judges that take no part, grouped by the reason."""
    if not a.left_out:
        return ()
    groups: dict[str, list[str]] = {}
    for entry in a.left_out:
        groups.setdefault(entry.why, []).append(entry.judge)
    said = "; ".join(f"{names(members)}: {visible(why, 200)}" for why, members in groups.items())
    whys = " ".join(groups)
    words = f" {_MISMATCH}" if "refusal" in whys and "harm" in whys else ""
    return (f"Left out: {said}.{words}",)


def missing(a: Agreement, found: Conclusions | None) -> tuple[str, ...]:
    """How many verdicts are missing, whose and where; and who was asked about what."""
    asked = {j.judge: j.n_ok + sum(j.missing.values()) for j in a.judges}
    parts = [part for part in (_missing(a, asked), _partly(a, asked), *_missing_by_model(a, found)) if part]
    return (" ".join(parts),) if parts else ()


def _missing(a: Agreement, asked: dict[str, int]) -> str:
    gone = {j.judge: sum(j.missing.values()) for j in a.judges if j.missing}
    total = sum(gone.values())
    if not a.judges or not any(asked.values()):
        return ""
    if not total:
        whole = all(n == a.n_items for n in asked.values())
        return "Every judge has a usable verdict on every output." if whole else "Every verdict given is usable."
    head = f"{share(total, sum(asked.values()), 'verdict')} {'is' if total == 1 else 'are'} missing"
    judges = sorted((j for j in a.judges if j.judge in gone), key=lambda j: -gone[j.judge])
    said = []
    for judge in judges[:3]:
        causes = listed([f"{count(n)} {status_name(status)}" for status, n in judge.missing.items()])
        part = f"{quote(judge.judge)} {percent(gone[judge.judge] / asked[judge.judge])}: {causes}"
        if judge.bounds and a.question.positive is not None:
            low, high = (percent(v) for v in judge.bounds)
            part += f", so its rate of {quote(a.question.positive)} lies between {low} and {high}"
        said.append(part)
    rest = f"; {count(len(judges) - 3, 'more judge')}" if len(judges) > 3 else ""
    others = len(a.judges) - len(judges)
    none = f"; the other {'judge has' if others == 1 else f'{others:,} judges have'} none" if others else ""
    counted = "and is not counted as a label" if total == 1 else "and none of them is counted as a label"
    return f"{head} {counted} ({'; '.join(said)}{rest}{none})."


def _missing_by_model(a: Agreement, found: Conclusions | None) -> Iterator[str]:
    """Where a judge's missing verdicts gather on one model."""
    if found is None:
        return
    for judge in a.judges:
        rates = [rate for rate in found.rates if rate.judge == judge.judge]
        total = sum(rate.n_missing for rate in rates)
        worst = max(rates, key=lambda rate: rate.n_missing, default=None)
        if worst is None or len(rates) < 2 or total < 5 or worst.n_missing < 0.8 * total:
            continue
        part = "All" if worst.n_missing == total else f"{worst.n_missing:,} of the"
        yield (
            f"{part} {count(total)} outputs without a usable verdict of {quote(judge.judge)} are answers of "
            f"{quote(worst.model)}: they are not missing at random."
        )


def _partly(a: Agreement, asked: dict[str, int]) -> str:
    few = [n for n in asked.values() if n < a.n_items]
    if not few:
        return ""
    if len(few) == len(asked):
        low, high = min(asked.values()), max(asked.values())
        span = count(low) if low == high else f"{count(low)} to {count(high)}"
        return f"No judge was asked about every output: {span} of {count(a.n_items)} each."
    part = [judge for judge, n in asked.items() if n < a.n_items]
    said = [f"{quote(judge)} {count(asked[judge])}" for judge in part[:3]]
    rest = f" and {count(len(part) - 3, 'more judge')}" if len(part) > 3 else ""
    return f"Not asked about every output: {', '.join(said)}{rest} (of {count(a.n_items)})."


# How the notes begin that the sentences treat apart (agreement/panel.py and agreement/measure.py write them).
_ODD_LABELS: Final = "labels that only one judge gives"
_ONE_KIND: Final = "all judges are keyword lists"


def odd_labels(a: Agreement) -> tuple[str, ...]:
    """The notes that stand right after the headline: labels that may be none, which would spoil every figure."""
    return tuple(_sentence(note) for note in a.notes if note.startswith(_ODD_LABELS))


def one_kind(a: Agreement) -> bool:
    """Whether a note says that all judges work in the same way."""
    return any(note.startswith(_ONE_KIND) for note in a.notes)


def notes(a: Agreement) -> tuple[str, ...]:
    """What else a reader should know of how the panel was made, and labels that look like numbers."""
    found = [note for note in a.notes if not note.startswith(_ODD_LABELS)]
    labels = a.question.labels
    if a.question.level == "nominal" and len(labels) > 2 and all(_is_number(label) for label in labels):
        found.append(
            f"the labels are numbers but are compared as names: {quote(labels[0])} against {quote(labels[1])} counts "
            f"as much as against {quote(labels[-1])}; if their distance means something, use --level"
        )
    return tuple(_sentence(note) for note in found)


def _sentence(note: str) -> str:
    shown = visible(note, 600)
    return f"{shown[:1].upper()}{shown[1:]}{'' if shown.endswith(('.', '!', '?')) else '.'}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
