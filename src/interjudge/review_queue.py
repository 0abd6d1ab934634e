"""What is to be reviewed, fixed when a review begins: which outputs, in which order, drawn with which probability.

The queue stands beside the labels (`labels.jsonl` -> `labels.queue.json`), so that a review that is resumed goes on
with the same sample, and its rate stays right.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from interjudge.agreement.label_plan import Believed, next_items, planned_label
from interjudge.agreement.latent import estimate_truth
from interjudge.agreement.results import Estimate
from interjudge.agreement.sampled_rate import sampled_rate
from interjudge.datasets.write import write_text
from interjudge.errors import InputError
from interjudge.reports.escape import json_text

if TYPE_CHECKING:
    from interjudge.agreement.panel import Panel


class Queued(BaseModel):
    """One output to label. `believed`: the probability that its label is the queue's, before anybody looked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: str
    why: str
    p_consensus_wrong: float | None
    inclusion_probability: float = Field(gt=0, le=1)
    believed: float = Field(ge=0, le=1)


class Queue(BaseModel):
    """`label`: the one whose rate is followed. `everywhere`: its rate as believed over all outputs without a reference
    label. `sampled`: whether the order is random, so that any beginning of the queue is a sample of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    construct_name: str
    labels: tuple[str, ...]
    label: str
    everywhere: float = Field(ge=0, le=1)
    n_outputs: int
    sampled: bool
    items: tuple[Queued, ...]

    @model_validator(mode="after")
    def _whole(self) -> Queue:
        if self.label not in self.labels or len({item.item_id for item in self.items}) < len(self.items):
            raise ValueError("a label that is none of the labels, or an output twice")
        return self

    def rate(self, labels: Mapping[str, str], seen: Collection[str], confidence: float) -> Estimate | None:
        """The rate of `label` among all outputs that were without a reference label.

        `labels`: so far, by item id; `seen`: the item ids that somebody labelled or found impossible to label. None
        where they are no sample: in order of doubt until all are seen.
        """
        mine = [item for item in self.items if item.item_id in labels]
        if not self.sampled and any(item.item_id not in seen for item in self.items):
            return None
        return sampled_rate(
            [float(labels[item.item_id] == self.label) for item in mine],
            [item.believed for item in mine],
            [item.inclusion_probability for item in mine],
            self.everywhere,
            confidence,
        )


def queue_path(out: str | Path) -> Path:
    """Where the queue of the labels in `out` stands."""
    return Path(out).with_suffix(".queue.json")


def make_queue(panel: Panel, n: int, *, random_share: float, doubtful_first: bool, seed: int) -> Queue:
    """A sample of `n` outputs without a reference label that prefers those whose truth is uncertain.

    Raises
    ------
    InputError : the question has no labels (its judges give scores), or every output has a reference label.
    """
    labels = panel.question.labels
    if not labels:
        raise InputError(
            "nothing can be labelled: the judges of this question give scores alone",
            expected="--labels A,B, or --construct for another question",
        )
    believed = Believed.of(panel, estimate_truth(panel.codes, len(labels), seed=seed))
    table, _ = next_items(panel, believed, n, random_share=random_share, seed=seed)
    if table.is_empty():
        raise InputError("every output has a reference label already", expected="outputs without one")
    if doubtful_first:
        table = table.sort("p_consensus_wrong", descending=True, nulls_last=True, maintain_order=True)
    code = planned_label(panel, believed)
    posterior = dict(zip(panel.items["item_id"], believed.posterior[:, code].tolist(), strict=True))
    open_ = slice(None) if panel.gold is None else panel.gold < 0
    return Queue(
        construct_name=panel.question.construct,
        labels=labels,
        label=labels[code],
        everywhere=float(believed.posterior[open_, code].mean()),
        n_outputs=panel.n_items,
        sampled=not doubtful_first,
        items=tuple(
            Queued(
                item_id=row["item_id"], why=row["why"], p_consensus_wrong=row["p_consensus_wrong"],
                inclusion_probability=row["inclusion_probability"], believed=posterior[row["item_id"]],
            )
            for row in table.iter_rows(named=True)
        ),
    )  # fmt: skip


def kept_queue(out: str | Path) -> Queue | None:
    """The queue that a review of these labels began with; None before it begins.

    Raises
    ------
    InputError : the file is there and is no queue.
    """
    path = queue_path(out)
    try:
        return Queue.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot be read: {(error.strerror or str(error)).lower()}", file=path) from None
    except (ValueError, RecursionError, ValidationError):
        expected = "the queue of an earlier review; move it away to begin a new one"
        raise InputError("is no queue of a review", file=path, expected=expected) from None


def keep_queue(queue: Queue, out: str | Path) -> None:
    """Write the queue beside the labels."""
    write_text(json_text(queue.model_dump_json(indent=1)) + "\n", queue_path(out))
