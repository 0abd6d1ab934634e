"""Verdicts: one row a judge, an output and a repeat, from long or wide files or a verdict store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from interjudge.datasets.columns import VERDICT_KINDS, Table, missing_column, refuse_null
from interjudge.datasets.complete import complete, in_order, item_columns, known_kind
from interjudge.datasets.foreign import Found, Tell, part_of, read_found
from interjudge.datasets.ids import ID_EXPECTED, ITEM_IDENTITY, content_hash
from interjudge.datasets.outputs import first_twice, with_item_id
from interjudge.datasets.read import read_table
from interjudge.datasets.schema import NO_CONSTRUCT, OUTPUT_REQUIRED, VERDICT_CORE
from interjudge.datasets.source import STDIN, Source, open_source
from interjudge.errors import InputError

__all__ = ["item_columns", "read_verdicts"]

_KEY = ["item_id", "judge", "repeat"]
_NO_JUDGE = (*_KEY, "judge_kind", "construct", "status", *OUTPUT_REQUIRED)
_LONG_ONLY = ("judge", "label", "score", "status", "confidence")


@dataclass(frozen=True)
class _Part:
    """Verdicts of one file and where its rows stand there."""

    frame: pl.DataFrame
    file: str
    place: Callable[[int], int | str]
    foreign: bool = False


def read_verdicts(
    paths: Sequence[str | Path] | str | Path,
    *,
    judge_columns: Sequence[str] = (),
    construct: str | None = None,
    kind: str | None = None,
    columns: Sequence[str] | None = None,
    format: str | None = None,
    tell: Tell | None = None,
) -> pl.DataFrame:
    """The verdicts of one or more files, one below the other.

    Long form has a row a verdict. Wide form has a row an item and a column a judge, named in
    `judge_columns`; a file with a `judge` column and none of these is long all the same. A verdict store
    (SQLite) is read too, and files of other tools (see `foreign.formats`), recognised by their content unless
    `format` says what they are or `judge_columns` are named; `tell` is told what was understood of each. Of these, a
    verdict that stands in several files alike counts once.

    Returns the columns of `schema.VERDICT_CORE`, whichever other verdict columns there are, and all other
    columns (prompt, model, category, ...) as they are; with `columns`, no others but these. What a file does
    not say: `repeat` is 0; `status` is ``ok`` where there is a label or a score, else ``not_run``;
    `judge_kind` is `kind` or ``imported``; `construct` is `construct` or ``unstated``; `item_id` is made from
    prompt and response as in `read_outputs`.

    Raises
    ------
    InputError : a file cannot be read, a column is missing, a status or kind is unknown, a verdict that is
        not ok has a label or a score, an ok one has neither, or a (item_id, judge, repeat) stands twice.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise InputError("no file of verdicts was given")
    kind = known_kind(kind)
    reader = _Reader(tuple(judge_columns), construct or NO_CONSTRUCT, kind or "imported", columns, format, tell)
    parts = [reader.read(path) for path in files]
    reader.refuse_unseen(files)
    if len(parts) > 1:
        parts = _without_copies(parts)
    frame = parts[0].frame if len(parts) == 1 else _stack(parts)
    _refuse_twins(frame, parts)
    return frame


class _Reader:
    """Reads files of verdicts under one set of options."""

    def __init__(
        self, judges: tuple[str, ...], construct: str, kind: str, columns: Sequence[str] | None, format: str | None,
        tell: Tell | None,
    ) -> None:  # fmt: skip
        self.judges = judges
        self.construct = construct
        self.kind = kind
        self.columns = columns
        self.format = format
        self.tell = tell
        self.seen: set[str] = set()  # column names of all files
        self.used: set[str] = set()  # judge columns found so far
        reserved = [name for name in judges if name in _NO_JUDGE]
        if reserved:
            raise InputError(f"{reserved[0]!r} is no column of a judge's labels")
        twice = [name for name in judges if judges.count(name) > 1]
        if twice:
            raise InputError(f"the judge column {twice[0]!r} is named twice")

    def read(self, path: str | Path) -> _Part:
        if str(path) != STDIN and Path(path).is_dir():
            return self._folder(path)
        source = open_source(path)
        if source.format == "sqlite":
            return self._store(source, path)
        found = None if self.judges and self.format is None else read_found(source, self.format)
        if found is not None:
            return self._foreign(found)
        wide: list[str] = []
        made = False

        def choose(names: list[str]) -> list[str]:
            nonlocal made
            self.seen.update(names)
            wide.extend(self._wide(source.name, names))
            made = "item_id" not in names
            return self._chosen(source.name, names, wide)

        kinds = VERDICT_KINDS | dict.fromkeys(self.judges, "label")
        table = read_table(source, kinds, choose)
        if wide:
            return self._from_wide(table, wide, made)
        frame = table.frame
        if made:
            ids = content_hash(frame.with_columns(repeat=pl.lit(0)), ITEM_IDENTITY)
            table = Table(frame.with_columns(item_id=ids), table.file, table.place)
        refuse_null(table, ["item_id", "judge"], empty=False)
        return self._part(complete(table, self.construct, self.kind), table)

    def refuse_unseen(self, files: Sequence[str | Path]) -> None:
        for name in self.judges:
            if name not in self.used:
                raise missing_column(", ".join(map(str, files)), name, sorted(self.seen), "a column of labels")
        for name in self.columns or ():
            if name not in self.seen | set(VERDICT_CORE):
                raise missing_column(", ".join(map(str, files)), name, sorted(self.seen))

    def _wide(self, file: str, names: list[str]) -> list[str]:
        there = [name for name in self.judges if name in names]
        self.used.update(there)
        if not self.judges or (not there and "judge" in names):
            return []
        if not there:
            raise missing_column(file, self.judges[0], names, "a column of labels for each judge")
        clash = [name for name in _LONG_ONLY if name in names and name not in there]
        if clash:
            raise InputError(
                "judge columns were named, but the file has a column of the long form",
                file=file,
                column=clash[0],
                expected="a file with one row an item and one column a judge",
            )
        return there

    def _chosen(self, file: str, names: list[str], wide: list[str]) -> list[str]:
        needed: tuple[str, ...] = () if wide else ("judge",)
        if "item_id" not in names and not set(OUTPUT_REQUIRED) <= set(names):
            needed = ("item_id", *needed)
        known_judges = bool(wide) or "judge" in names
        for name in needed:
            if name not in names:
                expected = "one row a verdict, or the judges' columns to be named (--judge-columns)"
                raise missing_column(file, name, names, ID_EXPECTED if known_judges else expected)
        if not wide and not {"label", "score", "status"} & set(names):
            raise missing_column(file, "label", names, "a label, a score or a status for each verdict")
        if self.columns is None:
            return names
        identity = ITEM_IDENTITY if "item_id" not in names else ()
        return [n for n in names if n in {*VERDICT_CORE, *wide, *self.columns, *identity}]

    def _from_wide(self, table: Table, judges: list[str], made: bool) -> _Part:
        if made:  # `repeat` tells outputs apart; each judge looked at each of them once
            refuse_null(table, OUTPUT_REQUIRED)
            table = Table(with_item_id(table).drop("repeat", strict=False), table.file, table.place)
        else:
            refuse_null(table, ["item_id"], empty=False)
        height = table.frame.height
        numeric = [name for name in judges if _is_numeric(table.frame[name])]
        others = [name for name in table.frame.columns if name not in judges]
        # a judge's own column may be called "label"
        frame = table.frame.unpivot(on=judges, index=others, variable_name="judge", value_name="\0label")
        frame = frame.rename({"\0label": "label"})
        if numeric:
            score = pl.when(pl.col("judge").is_in(numeric)).then(pl.col("label").cast(pl.Float64, strict=False))
            frame = frame.with_columns(score=score)
        place = table.place
        table = Table(frame, table.file, lambda i: place(i % height))
        return self._part(complete(table, self.construct, self.kind), table)

    def _foreign(self, found: Found) -> _Part:
        frame = part_of(found, "verdicts", self.tell)
        self.seen.update(frame.columns)
        table = Table(frame, found.file, found.place)
        return replace(self._part(complete(table, self.construct, self.kind), table), foreign=True)

    def _store(self, source: Source, path: str | Path) -> _Part:
        # The one place where this layer calls a higher one: the store is the judges' own, and only reading one
        # pulls it in. It would stand better beside the readers here.
        from interjudge.judges.store import read_store  # noqa: PLC0415

        if str(path) == STDIN:
            raise InputError("a verdict store cannot be read from standard input", expected="its file name")
        frame = read_store(path)
        if frame.is_empty():
            raise InputError("the store holds no verdicts", file=source.name)
        self.seen.update(frame.columns)
        table = Table(frame, source.name)
        return self._part(complete(table, self.construct, self.kind), table)

    def _folder(self, path: str | Path) -> _Part:
        """What `score --engine ray` keeps; of a higher layer, as the store is."""
        from interjudge.judges.parts import read_parts  # noqa: PLC0415

        frame = read_parts(path)
        self.seen.update(frame.columns)
        table = Table(frame, str(path))
        return self._part(complete(table, self.construct, self.kind), table)

    def _part(self, frame: pl.DataFrame, table: Table) -> _Part:
        if self.columns is not None:
            kept = {*VERDICT_CORE, *self.columns}
            frame = frame.select(name for name in frame.columns if name in kept)
        return _Part(frame, table.file, table.place)


def _is_numeric(labels: pl.Series) -> bool:
    """Whether every label there is a finite number, so that the column gives scores as well."""
    some = labels.drop_nulls()
    if some.is_empty() or some.head(100).cast(pl.Float64, strict=False).has_nulls():
        return False
    return bool(some.cast(pl.Float64, strict=False).is_finite().fill_null(False).all())


def _without_copies(parts: Sequence[_Part]) -> list[_Part]:
    """Of files of other tools, without the verdicts that an earlier one of them holds as well, and alike.

    XSTest, say, gives the people's labels again beside each automatic judge's.
    """
    same = [*_KEY, "status", "label", "score"]
    kept: list[_Part] = []
    for part in parts:
        before = [p.frame.select(same) for p in kept if p.foreign]
        if not part.foreign or not before:
            kept.append(part)
            continue
        copies = part.frame.select(same).with_row_index("row").join(
            pl.concat(before).unique(), on=same, how="anti", nulls_equal=True, maintain_order="left"
        )  # fmt: skip
        rows = copies["row"].to_list()
        if rows:
            kept.append(_Part(part.frame[rows], part.file, _chosen_places(part.place, rows), foreign=True))
    return kept


def _chosen_places(place: Callable[[int], int | str], rows: Sequence[int]) -> Callable[[int], int | str]:
    return lambda i: place(rows[i])


def _stack(parts: Sequence[_Part]) -> pl.DataFrame:
    first: dict[str, tuple[pl.DataType, str]] = {}
    for part in parts:
        for name, dtype in part.frame.schema.items():
            before, file = first.setdefault(name, (dtype, part.file))
            # numbers and text go together as text; polars would also wrap a number into an object
            nested = before.is_nested() or dtype.is_nested()
            if nested and pl.Null not in (before, dtype) and dtype.base_type() != before.base_type():
                raise InputError(
                    "the files do not go together",
                    file=part.file,
                    column=name,
                    found=f"{dtype}",
                    expected=f"{before} as in {file}",
                )
    frame = pl.concat([part.frame for part in parts], how="diagonal_relaxed")
    return frame.select(in_order(frame.columns))


def _refuse_twins(frame: pl.DataFrame, parts: Sequence[_Part]) -> None:
    # equal keys have equal hashes; only where hashes repeat are the keys themselves compared
    hashes = frame.select(_KEY).hash_rows()
    if hashes.n_unique() == hashes.len():
        return
    rows = frame.select(_KEY).with_row_index("row").filter(hashes.is_duplicated())
    if not rows.select(pl.struct(_KEY).is_duplicated().any()).item():
        return
    first, second = (int(rows["row"][i]) for i in first_twice(rows, _KEY))
    item, judge, repeat = frame.select(_KEY).row(second)
    file, place = _locate(parts, first)
    again, row = _locate(parts, second)
    place = f"row {place}" if isinstance(place, int) else place
    raise InputError(
        f"a second verdict for item {item!r}, judge {judge!r}, repeat {repeat}; the first is in {file}, {place}",
        file=again,
        row=row,
        expected="one verdict for each item, judge and repeat (number a judge's repeats 0, 1, ... in `repeat`)",
    )


def _locate(parts: Sequence[_Part], row: int) -> tuple[str, int | str]:
    for part in parts:
        if row < part.frame.height:
            return part.file, part.place(row)
        row -= part.frame.height
    raise IndexError(row)
