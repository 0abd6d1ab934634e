"""A verdict store that keeps what was decided and nothing of what was written, for runs that leave texts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from interjudge.judges.store import STORED, Row, Store

WORDS: Final = ("rationale", "raw")  # both may quote the prompt and the response
_PLACES: Final = {2 + list(STORED).index(name) for name in WORDS}  # in a `Row`, behind its judge and repeat


class QuietStore(Store):
    """Rationales and raw replies are left out of everything that is put in; what was there before stays."""

    def put(self, judge_id: int, repeat: int, verdicts: pl.DataFrame, *, replace: bool = False) -> int:
        quiet = verdicts.with_columns(pl.lit(None, pl.String).alias(name) for name in WORDS)
        return super().put(judge_id, repeat, quiet, replace=replace)

    def put_rows(
        self, rows: Sequence[Row], models: Mapping[tuple[int, str], int] | None = None, *, replace: bool = False
    ) -> int | None:
        quiet = [tuple(None if i in _PLACES else value for i, value in enumerate(row)) for row in rows]
        return super().put_rows(quiet, models, replace=replace)
