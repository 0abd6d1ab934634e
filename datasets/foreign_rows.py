"""Rows of a foreign file, collected one by one, as our tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from interjudge.datasets.foreign import Found
from interjudge.datasets.foreign_values import Reading, plain
from interjudge.datasets.ids import ITEM_IDENTITY, content_hash, fill_item_id
from interjudge.datasets.schema import NO_CONSTRUCT, OUTPUT_COLUMNS, STATUS, VERDICT_COLUMNS
from interjudge.errors import InputError

# What describes an item beside a verdict on it. `repeat` is not among them: there it is the judge's.
BESIDE: Final = tuple(name for name in OUTPUT_COLUMNS if name not in ("item_id", "repeat"))
_CORE: Final[dict[str, Any]] = {
    "item": pl.Int64, "judge": pl.String, "repeat": pl.Int64, "judge_kind": pl.String, "construct": pl.String,
    "status": STATUS, "label": pl.String, "score": pl.Float64, "raw": pl.String, "rationale": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One judge of a file: its name, kind and construct."""

    name: str
    kind: str = "imported"
    construct: str = NO_CONSTRUCT


class Rows:
    """Items of a file, the verdicts on them and their reference labels.

    `where` is a row's place in the file, as for `InputError`. An item with prompt and response is an output; its
    id is made from its content unless it has one.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._items: list[dict[str, object]] = []
        self._places: list[int | str] = []
        self._verdicts: list[tuple[object, ...]] = []
        self._gold: list[tuple[int, str, str | None]] = []
        self._times: dict[tuple[int, str], int] = {}

    @property
    def n_items(self) -> int:
        return len(self._items)

    def item(
        self, where: int | str, *, item_id: object = None, prompt: object = None, response: object = None,
        **columns: object,
    ) -> int:  # fmt: skip
        """Add an item; returns its number, by which verdicts name it."""
        row: dict[str, object] = {
            "item_id": None if item_id is None else self.name(where, "item_id", item_id),
            "prompt": self.text(where, "prompt", prompt),
            "response": self.text(where, "response", response),
        }
        for name, value in columns.items():
            row[name] = value if name == "repeat" else self.tag(where, name, value)
        self._items.append(row)
        self._places.append(where)
        return len(self._items) - 1

    def verdict(self, item: int, asked: Asked, reading: Reading, *, rationale: object = None) -> None:
        """Add a verdict; a judge's second one on the same item is its next repeat."""
        where = self._places[item]
        key = (item, asked.name)
        repeat = self._times[key] = self._times.get(key, -1) + 1
        for name, value in (("judge", asked.name), ("construct", asked.construct), ("raw", reading.raw)):
            self.text(where, name, value)
        reason = self.text(where, "rationale", rationale if isinstance(rationale, str) else None)
        label = self.text(where, "label", reading.label)
        self._verdicts.append(
            (
                item, asked.name, repeat, asked.kind, asked.construct, reading.status, label, reading.score,
                reading.raw, reason,
            )
        )  # fmt: skip

    def gold(self, item: int, reading: Reading, construct: str | None) -> None:
        """Add a reference label; a value that is none is left out."""
        if reading.label is not None:
            self._gold.append((item, reading.label, construct))

    def text(self, where: int | str, column: str, value: object) -> str | None:
        """The value, if it is text that can stand in a table.

        Raises
        ------
        InputError : a number, list or object; or half of a surrogate pair in the text.
        """
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.error("a value of the wrong type", where, column=column, found=value, expected="text")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self.error(
                "half of a surrogate pair, which is no character", where, column=column, found=ascii(value[:60])
            ) from None
        return value

    def name(self, where: int | str, column: str, value: object) -> str:
        """Text or a whole number, not empty."""
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise self.error(
                "a value of the wrong type", where, column=column, found=value, expected="text or a whole number"
            )
        return self.text(where, column, value if isinstance(value, str) else plain(value)) or ""

    def tag(self, where: int | str, column: str, value: object) -> str | None:
        """Any value as text; lists and objects as JSON."""
        return self.text(where, column, value if isinstance(value, str) else plain(value))

    def error(
        self, problem: str, where: int | str, *, column: str | None = None, found: object = None,
        expected: str | None = None,
    ) -> InputError:  # fmt: skip
        return InputError(problem, file=self.file, row=where, column=column, found=found, expected=expected)

    def found(self, *, identity: Sequence[str] = ITEM_IDENTITY, notes: Sequence[str] = ()) -> Found:
        """The tables; `identity` are the columns that an id is made from."""
        if not self._items:
            raise InputError("the file holds no rows", file=self.file)
        names = list(dict.fromkeys(name for row in self._items for name in row))
        types = {n: pl.Int64 if n == "repeat" else pl.String for n in names}
        items = pl.DataFrame(self._items, schema=types, strict=False)
        items = identified(items, identity, self.file, self._places)
        if self._gold:
            gold = pl.DataFrame(
                self._gold, schema={"item": pl.Int64, "gold": pl.String, "criterion": pl.String}, orient="row"
            )
            gold = gold.with_columns(item_id=items["item_id"].gather(gold["item"]))
        else:
            gold = None
        verdicts = pl.DataFrame(self._verdicts, schema=_CORE, orient="row")
        places = [self._places[i] for i in verdicts["item"]]
        verdicts = verdicts.with_columns(item_id=items["item_id"].gather(verdicts["item"]))
        return assemble(items, verdicts.drop("item"), gold, lambda i: places[i], tuple(notes))


def identified(items: pl.DataFrame, identity: Sequence[str], file: str, places: Sequence[int | str]) -> pl.DataFrame:
    """The items with an id each: their own, or that of their content (copies are numbered in `repeat`).

    Raises
    ------
    InputError : two items have the same id of their own.
    """
    own = items["item_id"].is_not_null()
    if own.all():
        twice = items["item_id"].is_duplicated()
        if twice.any():
            second = items.with_row_index("row").filter(twice)
            name = second["item_id"][0]
            rows = second.filter(item_id=name)["row"]
            raise InputError(
                "the same item_id stands twice", file=file, row=places[rows[1]], column="item_id", found=name,
                expected="an id of its own for each item",
            )  # fmt: skip
        return items
    bare = items.drop("item_id")
    if tuple(identity) == ITEM_IDENTITY:
        made = fill_item_id(bare)
        return made if not own.any() else made.with_columns(item_id=items["item_id"].fill_null(made["item_id"]))
    ids = content_hash(bare, identity)
    copy = ids.to_frame("id").select(pl.int_range(pl.len()).over("id")).to_series()
    if (copy > 0).any():
        again = bare.select(identity).with_columns(copy=copy.cast(pl.String))
        ids = ids.zip_with(copy == 0, content_hash(again, [*identity, "copy"]))
    return bare.select(ids.alias("item_id"), pl.all())


def assemble(
    items: pl.DataFrame,
    verdicts: pl.DataFrame | None,
    gold: pl.DataFrame | None,
    place: Any,
    notes: tuple[str, ...] = (),
) -> Found:
    """A `Found` of items (with `item_id`), verdicts (with `item_id`) and gold (item_id, gold, criterion)."""
    outputs = None
    if {"prompt", "response"} <= set(items.columns):
        whole = items["prompt"].is_not_null() & items["response"].is_not_null()
        if whole.any():
            outputs = without_empty(items.filter(whole))
    reference = None
    if gold is not None and gold.height:
        reference = gold.select("item_id", *(["criterion"] if gold["criterion"].null_count() == 0 else []), "gold")
    verdicts = _with_items(verdicts, items, gold) if verdicts is not None and verdicts.height else None
    if outputs is None and verdicts is None and reference is None:
        raise InputError("the file holds neither outputs nor verdicts nor reference labels")
    return Found(outputs, verdicts, reference, place, notes)


def without_empty(frame: pl.DataFrame, keep: Sequence[str] = ("item_id",)) -> pl.DataFrame:
    """Without the columns that are null throughout."""
    return frame.select(n for n in frame.columns if n in keep or frame[n].null_count() < frame.height)


def _with_items(verdicts: pl.DataFrame, items: pl.DataFrame, gold: pl.DataFrame | None) -> pl.DataFrame:
    beside = [name for name in (*BESIDE, "sample_id", "epoch") if name in items.columns]
    about = items.select("item_id", *beside)
    if gold is not None:
        # a label of each item, for `--reference gold`; where there are several criteria, only the reference file serves
        single = gold.filter(~pl.col("item_id").is_duplicated()).select("item_id", "gold")
        about = about.join(single, on="item_id", how="left", maintain_order="left")
    verdicts = verdicts.join(about, on="item_id", how="left", maintain_order="left")
    order = [n for n in VERDICT_COLUMNS if n in verdicts.columns]
    rest = [n for n in verdicts.columns if n not in VERDICT_COLUMNS]
    core = ("item_id", "judge", "repeat", "judge_kind", "construct", "status", "label", "score")
    return without_empty(verdicts.select(*order, *rest), core)
