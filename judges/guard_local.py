"""A batch of outputs before a guard on this machine: one pass for the verdicts, then one for the categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import polars as pl

from interjudge.datasets.schema import VERDICT_COLUMNS
from interjudge.judges.base import ANSWER_COLUMNS
from interjudge.judges.guard_base import Ask, Engine, Local
from interjudge.judges.guard_format import Format
from interjudge.judges.guard_remote import verdict
from interjudge.judges.guard_reply import Found, read_reply

_BLANKS: Final = 2  # tokens of nothing but blanks that are gone through before a verdict
_SCHEMA: Final = {name: VERDICT_COLUMNS[name] for name in ANSWER_COLUMNS}


def evaluate_local(format: Format, engine: Engine, outputs: pl.DataFrame) -> pl.DataFrame:
    """The verdicts of a batch, in order."""
    rows = outputs.select(pl.col(name).cast(pl.String) for name in format.reads).to_dicts()
    lacking = [format.lacks(row) for row in rows]
    asked = [n for n, name in enumerate(lacking) if name is None]
    first = dict(zip(asked, _replies(engine, [format.ask(rows[n]) for n in asked]), strict=True))
    for _ in range(_BLANKS if format.one_pass else 0):
        blank = [n for n, local in first.items() if not local.problem and _is_blank(format, local)]
        further = _replies(engine, [format.ask_further(rows[n], first[n].reply.text) for n in blank])
        first |= {n: _after(first[n], local) for n, local in zip(blank, further, strict=True)}
    found = {n: read_reply(format, local.reply) for n, local in first.items()}
    more = {
        n: ask
        for n, one in found.items()
        if one.label and (ask := format.ask_on(rows[n], one.label, first[n].reply.text)) is not None
    }
    second = dict(zip(more, _replies(engine, list(more.values())), strict=True))
    answers = [
        {"status": "not_run", "raw": f"the output has no {name}"}
        if name is not None
        else _answer(format, found[n], first[n], second.get(n))
        for n, name in enumerate(lacking)
    ]
    return pl.DataFrame([{c: answer.get(c) for c in ANSWER_COLUMNS} for answer in answers], schema=_SCHEMA)


def _is_blank(format: Format, local: Local) -> bool:
    """Whether the guard wrote nothing but blanks where its verdict was expected."""
    tokens = local.reply.tokens
    return bool(tokens) and not local.reply.text.removeprefix(format.verdict.start).strip()


def _after(first: Local, second: Local) -> Local:
    """A reply that goes on where another one ended."""
    reply = replace(
        second.reply,
        tokens=(*(first.reply.tokens or ()), *(second.reply.tokens or ())),
        input_tokens=_sum([first.reply.input_tokens, second.reply.input_tokens]),
        output_tokens=_sum([first.reply.output_tokens, second.reply.output_tokens]),
    )
    return Local(reply, max(first.left_out, second.left_out), second.problem)


def _replies(engine: Engine, asks: Sequence[Ask]) -> list[Local]:
    return engine.replies(asks) if asks else []


def _answer(format: Format, found: Found, first: Local, second: Local | None) -> Mapping[str, Any]:
    """The verdict of the first reply, with the categories of the one that goes on from it."""
    if first.problem:
        return {"status": "error", "raw": first.problem}
    if second is not None and second.problem:
        found, second = replace(found, said=(*found.said, f"no categories: {second.problem}")), None
    if second is not None:
        listed = read_reply(format, replace(second.reply, tokens=None))
        found = replace(found, said=(*found.said, *listed.said), categories=listed.categories)
    locals_ = [first, *([second] if second is not None else [])]
    left_out = max(local.left_out for local in locals_)
    if left_out:
        words = f"{left_out} tokens in the middle of the response were left out, to fit what the guard can read"
        found = replace(found, said=(*found.said, words))
    return {
        **verdict(found),
        "raw": locals_[-1].reply.text,
        "input_tokens": _sum([local.reply.input_tokens for local in locals_]),
        "output_tokens": _sum([local.reply.output_tokens for local in locals_]),
    }


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
