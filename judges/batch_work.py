"""What a run of batches has to do: which outputs are still to be asked, what they say, and the verdicts there are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from interjudge.judges.base import Judge
from interjudge.judges.batch_ledger import Ledger
from interjudge.judges.distinct import Distinct, judge_table
from interjudge.judges.llm_base import Answer
from interjudge.judges.remote_work import now, row
from interjudge.judges.store import STORED, Store, verdict_table

_WAIT_S: Final = 0.02


class Work:
    """One judge on all outputs and repeats; outputs go by their numbers in the store (`output_id`)."""

    def __init__(self, judge: Judge, outputs: Distinct, store: Store, ledger: Ledger, repeats: int) -> None:
        self.judge, self.outputs, self.store, self.ledger, self.repeats = judge, outputs, store, ledger, repeats
        self.judge_id = store.use(judge)
        ids = outputs.ids.to_numpy()
        self._order = np.argsort(ids)
        self._sorted = ids[self._order]
        self._texts = outputs.frame.with_columns(pl.exclude(pl.String).cast(pl.String))

    @property
    def total(self) -> int:
        """Distinct outputs times repeats."""
        return self.repeats * self.outputs.ids.len()

    def wanted(self, repeat: int) -> Iterator[int]:
        """The numbers of the outputs without a finished verdict that were not given up in this run."""
        finished = set(self.store.stored(self.judge_id, repeat, self.outputs.ids)["output_id"].to_list())
        given_up = {item for batch in self.ledger.batches() if batch.repeat == repeat for item in batch.given_up}
        return (item for item in self.outputs.ids.to_list() if item not in finished and item not in given_up)

    def tried(self, repeat: int) -> Counter[int]:
        """How many batches that came to an end each output was in."""
        ended = (b for b in self.ledger.batches() if b.repeat == repeat and b.state in ("collected", "failed"))
        return Counter(item for batch in ended for item in batch.items)

    def left(self) -> int:
        return sum(sum(1 for _ in self.wanted(repeat)) for repeat in range(self.repeats))

    def output(self, item: int) -> dict[str, str | None]:
        """What the judge reads of one output."""
        at = self._order[np.searchsorted(self._sorted, item)]
        return self._texts.row(int(at), named=True)

    def keep(self, repeat: int, answers: dict[int, Answer]) -> None:
        """Store answers with the snapshots that gave them, and forget them."""
        if not answers:
            return
        rows = [row(self.judge_id, repeat, item, answer) for item, answer in answers.items()]
        models = Counter((self.judge_id, answer.model) for answer in answers.values() if answer.model is not None)
        while self.store.put_rows(rows, models) is None:  # another process writes
            time.sleep(_WAIT_S)
        answers.clear()

    def table(self) -> pl.DataFrame:
        """As `runner.score` has it; ``not_run`` where there is no verdict yet."""
        whole = pl.DataFrame({"output_id": self.outputs.ids})
        pieces = []
        for repeat in range(self.repeats):
            stored = self.store.stored(self.judge_id, repeat, self.outputs.ids, finished=False)
            missing = whole.join(stored, on="output_id", how="anti").with_columns(
                status=pl.lit("not_run", STORED["status"]), created_at=pl.lit(now())
            )
            both = pl.concat([stored, missing], how="diagonal")
            pieces.append(both.with_columns(repeat=pl.lit(repeat, pl.Int64)))
        return verdict_table(judge_table(self.judge, self.outputs.items, pl.concat(pieces)))
