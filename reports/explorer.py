"""The outputs in dispute as a page carries them: two packed blobs, one of figures and names, one of texts.

Nothing is estimated here: `p_wrong`, consensus and reasons come from `agreement.flags`. Every text is made `visible`
before it is packed; the page shows it as text and nothing else.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.escape import visible, visible_lines

Flagged = tuple[pl.DataFrame, pl.DataFrame]  # the tables `verdicts` and `items` of `agreement.flags.Flags`

MAX_ROWS: Final = 10_000  # outputs of one question
MAX_CELLS: Final = 600_000  # outputs times judges of one question
BUDGET: Final = 3_400_000  # characters of both blobs together
# Characters that texts are cut at; for which share of the outputs, the most disputed ones; and the others' cut, which
# come without rationales.
PLANS: Final = (
    (20_000, 1.0, 0), (8_000, 1.0, 0), (4_000, 1.0, 0), (2_000, 1.0, 0), (2_000, 0.6, 200), (2_000, 0.4, 200),
    (2_000, 0.25, 200), (2_000, 0.15, 150), (1_500, 0.1, 120), (1_000, 0.05, 100), (600, 0.03, 60), (60, 0.0, 60),
)  # fmt: skip
_NAME: Final = 200
_TOP: Final = 20  # rows that stand in the page itself, for print and where no script runs
_SAMPLE: Final = 200  # texts that show how well the others will pack, each up to so many characters
_SAMPLE_CUT: Final = 2_000
_NOT_ASKED: Final = -2


@dataclass(frozen=True)
class TopRow:
    """One of the first rows, as text."""

    item: str
    model: str
    consensus: str
    doubt: float | None
    votes: str
    reasons: str


@dataclass(frozen=True)
class TopRows:
    """The first rows of one question; `n` it has in the page, `total` in all."""

    question: str
    rows: tuple[TopRow, ...]
    n: int
    total: int


class Cut(NamedTuple):
    """The texts of the `first` most disputed outputs are cut at `near` characters, those of the others at `far`."""

    near: int
    first: int
    far: int


@dataclass(frozen=True)
class Explorer:
    """`table`, `texts`: base64 of deflated JSON; `texts` is None where there are none or they are left out.

    `cut`: how texts were shortened (None: they are whole).
    """

    questions: tuple[TopRows, ...]
    table: str
    texts: str | None
    cut: Cut | None
    n_outputs: int
    redacted: bool = False


def build_explorer(
    questions: Sequence[QuestionResult],
    flagged: Sequence[Flagged | None],
    verdicts: pl.DataFrame,
    outputs: pl.DataFrame | None = None,
    *,
    references: Sequence[pl.DataFrame | None] = (),
    redacted: bool = False,
) -> Explorer | None:
    """What the page shows of every output; None where no question has flags.

    Parameters
    ----------
    flagged : of each question, in their order; None for a question of scores alone.
    verdicts, outputs : for rationales, scores, models, categories and texts.
    references : `item_id` and `gold` of each question, in their order; None or nothing for one without a reference.
    """
    known = [(q, pair) for q, pair in zip(questions, flagged, strict=True) if pair is not None and pair[1].height]
    gold_of = {id(q): gold for q, gold in zip(questions, references, strict=True)} if references else {}
    if not known:
        return None
    chosen = [_chosen(pair[1], len(q.agreement.judges)) for q, pair in known]
    ids = _in_order(chosen)
    names = list(dict.fromkeys(j.judge for q, _ in known for j in q.agreement.judges))
    parts = [
        _question(q, pair[0], items, ids, names) | _reference(q, gold_of.get(id(q)), items)
        for (q, pair), items in zip(known, chosen, strict=True)
    ]
    source = _known(verdicts if outputs is None else outputs, ids)
    mine = _first_verdicts(verdicts, ids, names)
    table: dict[str, Any] = {
        "questions": parts,
        "judges": [visible(name, _NAME) for name in names],
        "outputs": {"id": [visible(i, _NAME) for i in ids["item_id"]], **_named(source, ("model", "category"))},
        "scores": _scores(mine),
    }
    packed = pack(table)
    texts, cut = (None, None) if redacted else _texts(source, mine, max(BUDGET - len(packed), BUDGET // 10))
    outputs_of = table["outputs"]
    tops = tuple(_top(part, outputs_of, pair[1].height) for part, (_, pair) in zip(parts, known, strict=True))
    return Explorer(tops, packed, texts, cut, ids.height, redacted)


def pack(value: object) -> str:
    """JSON, deflated, in base64: what the page unpacks with `DecompressionStream("deflate")`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 6)).decode("ascii")


def unpack(packed: str) -> Any:
    """What `pack` packed."""
    return json.loads(zlib.decompress(base64.b64decode(packed)))


# Figures and names.


def _chosen(items: pl.DataFrame, judges: int) -> pl.DataFrame:
    """The items whose consensus is least certain, first those."""
    most = max(min(MAX_ROWS, MAX_CELLS // max(judges, 1)), 1)
    if items.height > most:  # sorting a million item ids takes longer than all the rest
        least = items["p_consensus_wrong"].drop_nulls().top_k(most).min()
        items = items.filter(pl.col("p_consensus_wrong") >= least) if least is not None else items
    order = ["p_consensus_wrong", "entropy", "item_id"]
    return items.sort(order, descending=[True, True, False], nulls_last=True).head(most)


def _in_order(chosen: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """output, item_id: every item once, the most disputed of any question first."""
    placed = pl.concat([items.select("item_id").with_row_index("place") for items in chosen])
    first = placed.group_by("item_id", maintain_order=True).agg(pl.col("place").min())
    return first.sort("place", maintain_order=True).select("item_id").with_row_index("output")


def _question(
    question: QuestionResult, verdicts: pl.DataFrame, items: pl.DataFrame, ids: pl.DataFrame, names: list[str]
) -> dict[str, Any]:
    """One question column by column: items in their order, and for every judge as many entries."""
    a = question.agreement
    labels = list(a.question.labels)
    judges = [j.judge for j in a.judges]
    place = items.select("item_id").with_row_index("row")
    cells = verdicts.join(place, on="item_id", how="inner")
    code = {label: i for i, label in enumerate(labels)}
    cells = cells.with_columns(
        code=pl.col("label").replace_strict(code, default=-1, return_dtype=pl.Int64) if labels else pl.lit(-1),
        why=pl.col("reasons").list.join("\x1f"),
    )
    of_items = items["reasons"].list.join("\x1f")
    lists = list(dict.fromkeys(["", *of_items.unique().sort(), *cells["why"].unique().sort()]))
    number = {text: i for i, text in enumerate(lists)}
    by_judge = {name[0]: part for name, part in cells.partition_by("judge", as_dict=True).items()}
    n = items.height
    return {
        "name": visible(a.question.name, _NAME),
        "labels": [visible(label, _NAME) for label in labels],
        "judges": [names.index(name) for name in judges],
        "reasons": [[visible(one, _NAME) for one in text.split("\x1f") if one] for text in lists],
        "output": place.join(ids, on="item_id", how="left", maintain_order="left")["output"].to_list(),
        "consensus": [code.get(label, -1) for label in items["consensus"]],
        "doubt": _per_mille(items["p_consensus_wrong"]),
        "why": [number[text] for text in of_items],
        "verdicts": [_judge(by_judge.get(name), n, number) for name in judges],
    }


def _reference(question: QuestionResult, gold: pl.DataFrame | None, items: pl.DataFrame) -> dict[str, Any]:
    """What the reference is called and its label of every item (-1: none), where the question has a reference."""
    a = question.agreement
    if gold is None:
        return {}
    code = {label: i for i, label in enumerate(a.question.labels)}
    labels = items.select("item_id").join(gold, on="item_id", how="left", maintain_order="left")["gold"]
    return {
        "reference": visible(a.question.reference or "reference", _NAME),
        "gold": [code.get(label, -1) for label in labels],
    }


def _judge(cells: pl.DataFrame | None, n: int, number: dict[str, int]) -> dict[str, list[int]]:
    label = np.full(n, _NOT_ASKED)
    p, flagged, why = np.full(n, -1), np.zeros(n, int), np.zeros(n, int)
    if cells is not None:
        row = cells["row"].to_numpy()
        label[row] = cells["code"].to_numpy()
        p[row] = _per_mille(cells["p_wrong"])
        flagged[row] = cells["flagged"].cast(pl.Int64).to_numpy()
        why[row] = [number[text] for text in cells["why"]]
    return {name: _listed(found) for name, found in (("label", label), ("p", p), ("flagged", flagged), ("why", why))}


def _listed(found: NDArray[Any]) -> list[int]:
    return [int(x) for x in found]


def _per_mille(p: pl.Series) -> list[int]:
    """Probabilities in thousandths; -1 where there is none."""
    return [-1 if x is None else round(1000 * x) for x in p]


def _named(source: pl.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """Each column as its distinct values and, for every output, the place of its own (-1: none)."""
    found: dict[str, Any] = {}
    for column in columns:
        if column not in source.columns:
            continue
        values = source[column].cast(pl.String)
        names = sorted(set(values.drop_nulls()))
        place = {name: i for i, name in enumerate(names)}
        found[column] = {
            "names": [visible(name, _NAME) for name in names],
            "of": [-1 if value is None else place[value] for value in values],
        }
    return found


def _known(source: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """What is known of each output, in the order of `ids`."""
    columns = [c for c in ("model", "category", "prompt", "response") if c in source.columns]
    once = source.select("item_id", *columns).unique("item_id", keep="first", maintain_order=True)
    return ids.join(once, on="item_id", how="left", maintain_order="left")


def _first_verdicts(verdicts: pl.DataFrame, ids: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """output, judge (its place in `names`) and what the judge wrote, of the first repeat."""
    wanted = [c for c in ("status", "score", "rationale", "raw") if c in verdicts.columns]
    mine = verdicts.join(ids, on="item_id", how="inner")
    if "repeat" in mine.columns:
        mine = mine.sort("repeat", maintain_order=True)
    judges = pl.DataFrame({"judge": names}, schema={"judge": pl.String}).with_row_index("place")
    mine = mine.join(judges, on="judge", how="inner", maintain_order="left").select("output", *wanted, judge="place")
    return mine.unique(["output", "judge"], keep="first", maintain_order=True)


def _scores(mine: pl.DataFrame) -> dict[str, dict[str, float]]:
    """judge -> output -> its score (both as places in their lists), for judges that have any."""
    if "score" not in mine.columns:
        return {}
    found: dict[str, dict[str, float]] = {}
    scored = mine.filter(pl.col("score").is_finite()).sort("judge", "output")
    for output, judge, score in scored.select("output", "judge", "score").iter_rows():
        found.setdefault(str(judge), {})[str(output)] = float(f"{score:.4g}")
    return found


# Texts.


def _texts(source: pl.DataFrame, mine: pl.DataFrame, budget: int) -> tuple[str | None, Cut | None]:
    """The packed texts, and what was cut: as the first of `PLANS` that fits the budget says."""
    parts = [source[c].fill_null("") for c in ("prompt", "response") if c in source.columns]
    words = _words(mine)
    if not parts and words.is_empty():
        return None, None
    longest = max(int(column.str.len_chars().max() or 0) for column in (*parts, words["words"]))  # type: ignore[arg-type]
    ratio = _ratio(source, words)
    for near, share, far in PLANS:
        first = round(share * source.height)
        last = near == PLANS[-1][0]
        if last or _characters(source, words, near, first, far) * ratio <= budget:
            packed = pack(_pooled(source, words, near, first, far))
            if len(packed) <= budget or last:
                return packed, Cut(near, first, far) if longest > near or first < source.height else None
    return None, None


def _ratio(source: pl.DataFrame, words: pl.DataFrame) -> float:
    """Characters of the packed form that a character of these texts takes, by some of them; a little too low."""
    step = max(source.height // _SAMPLE, 1)
    some = [*(source[c].gather_every(step) for c in ("prompt", "response") if c in source.columns)]
    some.append(words["words"].gather_every(max(words.height // _SAMPLE, 1)))
    texts = [visible_lines(text, _SAMPLE_CUT) for column in some for text in column.drop_nulls()]
    whole = sum(map(len, texts))
    return 0.95 * len(pack(texts)) / whole if whole else 0.0


def _characters(source: pl.DataFrame, words: pl.DataFrame, near: int, first: int, far: int) -> int:
    """How many characters of text a plan leaves."""
    total = 0
    for column in ("prompt", "response"):
        if column in source.columns:
            for part, cut in ((source[column][:first], near), (source[column][first:], far)):
                total += int(part.drop_nulls().unique().str.len_chars().clip(0, cut).sum())
    return total + int(words.filter(pl.col("output") < first)["words"].unique().str.len_chars().clip(0, near).sum())


def _words(mine: pl.DataFrame) -> pl.DataFrame:
    """output, judge, words: its rationale, else what it replied where that was no verdict."""
    parts = []
    if "rationale" in mine.columns:
        parts.append(pl.col("rationale"))
    if "raw" in mine.columns and "status" in mine.columns:
        parts.append(pl.when(pl.col("status").cast(pl.String) != "ok").then(pl.col("raw")))
    if not parts:
        return pl.DataFrame(schema={"output": pl.UInt32, "judge": pl.UInt32, "words": pl.String})
    said = mine.select("output", "judge", words=pl.coalesce(parts))
    return said.filter(pl.col("words").is_not_null() & (pl.col("words") != "")).sort("judge", "output")


def _pooled(source: pl.DataFrame, words: pl.DataFrame, near: int, first: int, far: int) -> dict[str, Any]:
    """Every text once, and where it belongs: prompts are shared by models."""
    pool: dict[str, int] = {}

    def placed(text: str | None, cut: int) -> int:
        return -1 if text is None else pool.setdefault(visible_lines(text, cut), len(pool))

    found: dict[str, Any] = {}
    for column in ("prompt", "response"):
        if column in source.columns:
            found[column] = [placed(text, near if i < first else far) for i, text in enumerate(source[column])]
    said: dict[str, dict[str, int]] = {}
    for output, judge, text in words.filter(pl.col("output") < first).iter_rows():
        said.setdefault(str(judge), {})[str(output)] = placed(text, near)
    return {**found, "words": said, "pool": list(pool)}


# The rows in the page itself.


def _top(part: dict[str, Any], outputs: dict[str, Any], total: int) -> TopRows:
    return TopRows(part["name"], tuple(_top_rows(part, outputs)), len(part["output"]), total)


def _top_rows(part: dict[str, Any], outputs: dict[str, Any]) -> Iterator[TopRow]:
    models = outputs.get("model")
    for row, output in enumerate(part["output"][:_TOP]):
        votes: dict[int, int] = {}
        for judge in part["verdicts"]:
            if judge["label"][row] >= 0:
                votes[judge["label"][row]] = votes.get(judge["label"][row], 0) + 1
        ordered = sorted(votes.items(), key=lambda entry: (-entry[1], entry[0]))
        doubt, consensus = part["doubt"][row], part["consensus"][row]
        model = models["of"][output] if models else -1
        yield TopRow(
            item=outputs["id"][output],
            model=models["names"][model] if models and model >= 0 else "",
            consensus=part["labels"][consensus] if consensus >= 0 else "",
            doubt=None if doubt < 0 else doubt / 1000,
            votes=", ".join(f"{n} {part['labels'][label]}" for label, n in ordered),
            reasons=", ".join(part["reasons"][part["why"][row]]),
        )
