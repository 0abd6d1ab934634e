"""The whole contract of a judge: a name, what it measures, and one callable over a batch of outputs.

A judge is a value, made by a small factory. A third party registers a `Family` under the entry-point group
`interjudge.judges`; the built-in judges come in by the same door.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from interjudge.datasets.schema import STATUS, VERDICT_COLUMNS, Kind
from interjudge.errors import InterjudgeError
from interjudge.judges.llm_base import Remote

# What a judge may answer for each output, besides `status` (null or absent means `ok`).
ANSWER_COLUMNS = (
    "status", "label", "score", "confidence", "rationale", "raw",
    "latency_s", "input_tokens", "output_tokens", "cost_usd",
)  # fmt: skip


class JudgeError(InterjudgeError):
    """A judge broke its contract or raised; its message ends in the `raw` of an `error` verdict."""


class ShapeError(JudgeError):
    """An answer that is no table of verdicts, or not of the batch's height: which answer is whose cannot be known."""


@dataclass(frozen=True)
class Judge:
    """One judge, ready to be asked.

    Attributes
    ----------
    name : what stands in the `judge` column, e.g. ``keyword:default``.
    kind, construct : see the README's words; `construct` is ``refusal``, ``harm``, ``coherence`` or your own.
    labels : the labels it may give, in their natural order; empty for a judge that gives scores alone.
    evaluate : batch of outputs (polars, at least the columns of `reads`) -> a table of the same height and
        order, with any of `ANSWER_COLUMNS`. An output it cannot judge gets a status other than ``ok``.
    identity : everything that decides the verdict (model id and revision, lexicon or prompt text, parameters,
        parser version) as JSON-able values; hashed into `judge_hash`. Never a key or a password.
    reads : the output columns it looks at; outputs that are equal in these are the same to this judge.
    batch_size : how many outputs are asked, and stored, at a time.
    threshold : the score at which its label changes, where it has one. For the reader alone (`judges show`):
        nothing is computed with it.
    grow_to : where above `batch_size`, batches grow up to this while one takes less than a second.
    files : the files that it was made from; no run writes over them. Not part of the hash.
    remote : for a judge behind a network: the runner asks it about one output at a time, many at once, and
        `evaluate` is the same for a batch. Not part of the hash.
    ready : of a judge on this machine (without `remote`): called once by a run that has something to ask it, before any
        judge is asked; what it raises ends the run, where what `evaluate` raises is an `error` verdict. Models are
        loaded here, so that one that cannot be had is said at once. Not part of the hash.
    """

    name: str
    kind: Kind
    construct: str
    labels: tuple[str, ...]
    evaluate: Callable[[pl.DataFrame], pl.DataFrame]
    identity: Mapping[str, object]
    reads: tuple[str, ...] = ("prompt", "response")
    batch_size: int = 10_000
    threshold: float | None = None
    grow_to: int = 0
    files: tuple[str, ...] = ()
    remote: Remote | None = None
    ready: Callable[[], None] | None = None

    @cached_property
    def hash(self) -> str:
        """32 hex digits over everything that decides a verdict; the display name is not part of it."""
        whole = {
            "kind": self.kind,
            "construct": self.construct,
            "labels": self.labels,
            "reads": self.reads,
            "identity": self.identity,
        }
        text = json.dumps(whole, sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def __call__(self, outputs: pl.DataFrame) -> pl.DataFrame:
        """Verdicts on a batch: `status` and whichever of `ANSWER_COLUMNS` the judge gave, in order.

        Raises
        ------
        JudgeError : when the answer is not of the contract (wrong height, unknown status, a label that was
            not declared, a non-ok verdict that carries a label); a `ShapeError` where no part of it can be
            used. What the judge itself raises passes through.
        """
        return _checked(self, outputs, self.evaluate(outputs))


@dataclass(frozen=True)
class Family:
    """What an entry point of the group `interjudge.judges` names: judges made from the text after the prefix.

    `make("default")` answers the judge ``PREFIX:default``; it raises `InputError` for a name it cannot make.
    `names` are the ready-made ones that `interjudge judges list` shows; `usage` says what else can stand.
    """

    summary: str
    make: Callable[[str], Judge]
    names: Sequence[str] = ()
    usage: str = ""


def _checked(judge: Judge, outputs: pl.DataFrame, answer: pl.DataFrame) -> pl.DataFrame:
    if not isinstance(answer, pl.DataFrame):
        raise ShapeError(f"judge {judge.name!r} answered a {type(answer).__name__}, not a polars DataFrame")
    if answer.height != outputs.height:
        raise ShapeError(f"judge {judge.name!r} answered {answer.height} rows for {outputs.height} outputs")
    unknown = set(answer.columns) - set(ANSWER_COLUMNS)
    if unknown:
        raise ShapeError(f"judge {judge.name!r} answered unknown columns: {', '.join(sorted(unknown))}")
    if not {"label", "score"} & set(answer.columns):
        raise ShapeError(f"judge {judge.name!r} answered neither a 'label' nor a 'score' column")
    try:
        answer = answer.with_columns(
            pl.col("status").fill_null("ok").cast(STATUS)
            if "status" in answer.columns
            else pl.lit("ok", STATUS).alias("status"),
            *(pl.col(c).cast(VERDICT_COLUMNS[c]) for c in answer.columns if c != "status"),
        )
    except pl.exceptions.PolarsError as error:
        raise JudgeError(f"judge {judge.name!r} answered a column of the wrong type: {error}") from error
    given = [c for c in ("label", "score") if c in answer.columns]
    ok = answer.filter(status="ok")
    if judge.labels and "label" in given:
        odd = ok.filter(pl.col("label").is_not_null() & ~pl.col("label").is_in(judge.labels))["label"]
        if odd.len():
            raise JudgeError(f"judge {judge.name!r} gave the label {odd[0]!r}, not one of {', '.join(judge.labels)}")
    # One filter each, and its height: asking `any()` of a filtered frame is wrong in polars 2.1 where one row
    # was filtered to none (`is_not_null().any()` is then true).
    empty = pl.all_horizontal(pl.col(c).is_null() for c in given)
    if answer.filter((pl.col("status") == "ok") & empty).height:
        raise JudgeError(f"judge {judge.name!r} gave an ok verdict without a label or a score")
    if answer.filter((pl.col("status") != "ok") & ~empty).height:
        raise JudgeError(f"judge {judge.name!r} gave a label or a score with a status that is not ok")
    return answer.select("status", *(c for c in ANSWER_COLUMNS if c in answer.columns and c != "status"))
