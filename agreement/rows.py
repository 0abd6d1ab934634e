"""Verdict rows, factorised: the one pass from a table of texts to arrays of codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.question import Question
from interjudge.datasets.schema import STATUSES
from interjudge.errors import InputError, choices

# How a cell of the panel is filled: a status of the verdict, or one of these two.
UNMAPPED: Final = "unmapped"  # ok, but a score alone, or a map rule leaves its label out of the question
NOT_ASKED: Final = "not_asked"  # no row for this judge and item
CELL_STATUSES: Final = (*STATUSES, UNMAPPED, NOT_ASKED)
_OK, _OUT_OF_RANGE = STATUSES.index("ok"), STATUSES.index("out_of_range")

Codes = NDArray[np.int16]


@dataclass(frozen=True)
class PanelJudge:
    """A judge of the panel, with what the verdict table says of it."""

    name: str
    kind: str
    construct: str
    hash: str | None = None


@dataclass(frozen=True)
class Rows:
    """The verdict rows of the panel's judges, factorised: n rows, N items, J judges, V label texts."""

    table: pl.DataFrame
    ids: pl.Series
    item: NDArray[np.uint32]
    judge: NDArray[np.uint32]
    status: NDArray[np.uint8]
    label: NDArray[np.int64]
    vocabulary: tuple[str, ...]
    judges: tuple[PanelJudge, ...]

    @classmethod
    def of(cls, verdicts: pl.DataFrame, judges: tuple[PanelJudge, ...]) -> Rows:
        names = [judge.name for judge in judges]
        if verdicts["judge"].n_unique() > len(names):
            verdicts = verdicts.filter(pl.col("judge").is_in(names))
        ids = verdicts["item_id"].unique().sort()
        vocabulary = verdicts["label"].drop_nulls().unique().sort()
        label = verdicts["label"].cast(pl.Enum(vocabulary)).to_physical().cast(pl.Int64).fill_null(-1)
        return cls(
            table=verdicts,
            ids=ids,
            item=verdicts["item_id"].cast(pl.Enum(ids)).to_physical().cast(pl.UInt32).to_numpy(),
            judge=verdicts["judge"].cast(pl.Enum(names)).to_physical().cast(pl.UInt32).to_numpy(),
            status=verdicts["status"].to_physical().cast(pl.UInt8).to_numpy(),
            label=label.to_numpy(),
            vocabulary=tuple(vocabulary),
            judges=judges,
        )

    @cached_property
    def _used(self) -> NDArray[np.bool_]:
        """(J, V) which judge gave which label text in an ok verdict."""
        labelled = (self.label >= 0) & (self.status == _OK)
        size = len(self.judges) * len(self.vocabulary)
        cell = self.judge[labelled].astype(np.int64) * len(self.vocabulary) + self.label[labelled]
        return np.bincount(cell, minlength=size).astype(bool).reshape(len(self.judges), len(self.vocabulary))

    @property
    def has_scores(self) -> bool:
        """Whether some verdict has a score."""
        return "score" in self.table.columns and self.table["score"].null_count() < self.table.height

    def pairs(self) -> list[tuple[str, str]]:
        return [(self.judges[j].name, self.vocabulary[v]) for j, v in np.argwhere(self._used)]

    def scatter(
        self, mapped: Mapping[tuple[str, str], str | None], code_of: Mapping[str, int], question: Question
    ) -> tuple[Codes, NDArray[np.uint8]]:
        """(N, J) codes and statuses; every row lands in one cell."""
        shape = (self.ids.len(), len(self.judges))
        lookup = np.full((shape[1], len(self.vocabulary) + 1), -1, np.int16)  # last column: no label
        outcome = np.full_like(lookup, _OK, np.uint8)
        for j, v in np.argwhere(self._used):
            target = mapped[self.judges[j].name, self.vocabulary[v]]
            lookup[j, v] = code_of.get(target, -1) if target is not None else -1
            if lookup[j, v] < 0:
                outcome[j, v] = CELL_STATUSES.index(UNMAPPED) if target is None else _OUT_OF_RANGE
        ok = self.status == _OK
        code = np.where(ok, lookup[self.judge, self.label], np.int16(-1))
        status = np.where(ok, outcome[self.judge, self.label], self.status)
        for name, threshold in question.thresholds.items():
            self._apply_threshold(code, name, threshold, question)
        if question.labels:  # a score without a label answers no question about labels
            status[(status == _OK) & (code < 0)] = CELL_STATUSES.index(UNMAPPED)
        codes = np.full(shape, -1, np.int16, order="F")
        statuses = np.full(shape, CELL_STATUSES.index(NOT_ASKED), np.uint8, order="F")
        codes[self.item, self.judge] = code
        statuses[self.item, self.judge] = status
        return codes, statuses

    def _apply_threshold(self, code: Codes, name: str, threshold: float, question: Question) -> None:
        positive = question.positive_code
        if positive is None or len(question.labels) != 2:
            raise InputError(
                f"--threshold {name} needs a question of two labels",
                found=choices(question.labels),
                expected="--labels A,B",
            )
        score = self.table["score"].to_numpy()
        at = [j.name for j in self.judges].index(name)
        mine = (self.judge == at) & (self.status == _OK) & (self.label < 0) & ~np.isnan(score)
        if not mine.any():
            raise InputError(
                f"--threshold {name} has nothing to decide",
                found="verdicts with labels, or without scores",
                expected="a judge that gives scores alone",
            )
        code[mine] = np.where(score[mine] >= threshold, positive, 1 - positive)

    def scores(self) -> NDArray[np.float64]:
        """(N, J) scores of ok verdicts, NaN where there is none."""
        out = np.full((self.ids.len(), len(self.judges)), np.nan, order="F")
        score = self.table["score"].cast(pl.Float64).to_numpy()
        out[self.item, self.judge] = np.where(self.status == _OK, score, np.nan)
        return out
