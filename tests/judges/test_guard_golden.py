"""Every built-in format reads golden replies of every kind to the right status, label and categories."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from guards_known import NAMES, known

from interjudge.judges.guard_format import Format
from interjudge.judges.guard_reply import Found, read_reply
from interjudge.judges.llm_base import Finish, Reply, Token

KINDS = (
    "well formed", "lower case", "padded", "with reasoning", "cut off", "empty", "another language", "declined",
)  # fmt: skip
TABLE: Mapping[str, Mapping[str, Any]] = tomllib.loads((Path(__file__).parent / "guard_golden.toml").read_text("utf-8"))
ROWS = [
    pytest.param(guard, kind, row, id=f"{guard}-{kind}-{n}")
    for guard, kinds in TABLE.items()
    for kind, rows in kinds.items()
    if isinstance(rows, list)
    for n, row in enumerate(rows)
]


def test_the_table_holds_every_kind_for_every_format_or_says_why_not() -> None:
    assert set(TABLE) == set(NAMES)
    for guard, kinds in TABLE.items():
        assert tuple(kinds) == KINDS, guard
        assert all(rows["no"] if isinstance(rows, dict) else rows for rows in kinds.values()), guard
        labels = {row["label"] for rows in kinds.values() if isinstance(rows, list) for row in rows if "label" in row}
        assert labels == set(known(guard).labels), guard


@pytest.mark.parametrize(("guard", "kind", "row"), ROWS)
def test_as_text(guard: str, kind: str, row: Mapping[str, Any]) -> None:
    format_ = known(guard)
    found = read_reply(format_, Reply(re.sub("[«»]", "", row["text"]), finish(kind)))
    check(found, row.get("label"), row)
    assert found.score == row.get("score")
    assert found.confidence is None


@pytest.mark.parametrize(("guard", "kind", "row"), ROWS)
def test_with_probabilities(guard: str, kind: str, row: Mapping[str, Any]) -> None:
    format_ = known(guard)
    found = read_reply(format_, with_tokens(format_, row, finish(kind)))
    label = row.get("label", row.get("piece"))
    check(found, label, row)
    if label is None:
        assert found.score is None
    else:
        assert not found.by_text
        assert found.score == pytest.approx(row.get("expected", 0.9 if label in format_.positive else 0.1))


def finish(kind: str) -> Finish:
    return "length" if kind == "cut off" else "stop"


def check(found: Found, label: str | None, row: Mapping[str, Any]) -> None:
    status = "ok" if label else row.get("status", "parse_error")
    assert (found.status, found.label) == (status, label)
    words = (found.rationale or "").split("\n")
    if "piece" not in row:
        listed = [line.removeprefix("categories: ") for line in words if line.startswith("categories: ")]
        assert listed == ([row["categories"]] if "categories" in row else [])
        cut_off = "the list of categories was cut off"
        assert (cut_off in words) == (row.get("said") == cut_off)
        assert row.get("said", words[0]) in words
    assert row.get("problem", "") in (found.problem or "")
    assert (found.problem is None) == (status == "ok")


def with_tokens(format: Format, row: Mapping[str, Any], finish: Finish) -> Reply:
    """A reply whose verdict is one token, with another label's word beside it."""
    before, marked, after = re.fullmatch("([^«]*)(?:«(.*)»)?(.*)", row["text"], re.DOTALL).groups()  # type: ignore[union-attr]
    if marked is None:
        whole = f"{before}{after}"
        return Reply(whole, finish, tokens=(token(whole or "<|end_of_text|>", "the"),))
    if format.verdict.form == "number":
        other = "1" if marked.strip() != "1" else "5"
    else:
        label = row.get("label", row.get("piece"))
        other = format.verdict.words[format.labels[0] if label in format.positive else format.positive[0]][0]
    beside = re.sub(r"\S+", lambda _: other, marked, count=1)
    tokens = [Token(text, 0.0, ((text, 0.0),)) for text in (before, after)]
    tokens.insert(1, token(marked, beside))
    return Reply(f"{before}{marked}{after}", finish, tokens=tuple(one for one in tokens if one.text))


def token(text: str, beside: str) -> Token:
    return Token(text, math.log(0.9), ((text, math.log(0.9)), (beside, math.log(0.1))))
