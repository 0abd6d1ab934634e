"""The reference labels of a panel, and a judge against them: accuracy, sensitivity, specificity, J, kappa."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.degenerate import ZERO
from interjudge.agreement.intervals import proportion
from interjudge.agreement.pairwise import cohen_kappa
from interjudge.agreement.question import natural_order
from interjudge.agreement.results import Estimate
from interjudge.agreement.rows import Codes
from interjudge.agreement.tables import table_estimates
from interjudge.datasets.schema import DRAWN_WITH
from interjudge.errors import InputError, choices

PICKED: Final = "the reference labels were picked and not drawn at random (no inclusion_probability)"

Floats = NDArray[np.float64]


def against_reference(
    codes: Codes,
    gold: Codes,
    k: int,
    *,
    positive: int | None,
    clusters: NDArray[np.int64] | None = None,
    weight: Floats | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Five estimates on the items that have both a verdict and a reference label.

    codes, gold : (N,) label of the judge and of the reference, -1 none. positive : the label that sensitivity
    (share of its items the judge gives it to) and specificity (share of the other items the judge gives
    another label to) speak of; with more than two labels it stands against all others. Youden (1950):
    J = sensitivity + specificity - 1. weight : (N,) design weights of the labelled items, see `gold_weights`.

    Accuracy, sensitivity and specificity have Wilson intervals; J and kappa bootstrap intervals.
    """
    both = (codes >= 0) & (gold >= 0)
    mine, true = codes[both], gold[both]
    units, heavy = (None if part is None else part[both] for part in (clusters, weight))

    def share(hit: NDArray[np.bool_], among: NDArray[np.bool_], otherwise: str) -> Estimate:
        inside: Any = {
            name: None if part is None else part[among] for name, part in (("clusters", units), ("weight", heavy))
        }
        found = proportion(hit[among], **inside, confidence=confidence)
        return found if found.value is not None else Estimate(n=0, undefined=otherwise)

    options: Any = {
        "clusters": clusters, "weight": weight, "replicates": replicates, "seed": seed, "confidence": confidence
    }  # fmt: skip
    everything = np.ones(mine.size, bool)
    answer = {"accuracy": share(mine == true, everything, "no item has both a verdict and a reference label")}
    if positive is None:
        words = "no positive label" if k != 1 else "one label"
        answer |= dict.fromkeys(("sensitivity", "specificity", "youden_j"), Estimate(n=mine.size, undefined=words))
        return answer | table_estimates({"cohen_kappa": cohen_kappa}, codes, gold, k, **options)
    is_positive = true == positive
    answer["sensitivity"] = share(mine == positive, is_positive, "no item of the positive label in the reference")
    answer["specificity"] = share(mine != positive, ~is_positive, "no item of another label in the reference")

    def youden_j(table: Floats) -> Floats:
        return _youden_j(table, positive)

    reasons = {"youden_j": "the reference has one category"}
    both_formulas = {"youden_j": youden_j, "cohen_kappa": cohen_kappa}
    return answer | table_estimates(both_formulas, codes, gold, k, reasons=reasons, **options)


def _youden_j(table: Floats, positive: int) -> Floats:
    """Of tables (..., K, K) with the judge in rows and the reference in columns; NaN with an empty column."""
    hit = table[..., positive, positive]
    true = table[..., :, positive].sum(axis=-1)
    false = table.sum(axis=(-2, -1)) - true
    alarm = table[..., positive, :].sum(axis=-1) - hit
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(hit / true - alarm / false)


def gold_table(verdicts: pl.DataFrame, reference: str | pl.DataFrame | None, ids: pl.Series) -> pl.DataFrame | None:
    """`item_id`, `gold` and, where it is known, `inclusion_probability`, for the items of the panel."""
    if reference is None:
        return None
    if isinstance(reference, str):
        own = verdicts.filter((pl.col("judge") == reference) & (pl.col("status") == "ok"))
        drawn = [DRAWN_WITH] if DRAWN_WITH in own.columns else []
        reference = own.select("item_id", pl.col("label").alias("gold"), *drawn).drop_nulls(["item_id", "gold"])
    drawn = [DRAWN_WITH] if DRAWN_WITH in reference.columns else []
    found = reference.select("item_id", "gold", *drawn).join(ids.to_frame(), on="item_id", how="semi")
    if found["item_id"].is_duplicated().any():
        twice = found.filter(pl.col("item_id").is_duplicated())["item_id"][0]
        raise InputError(f"the reference labels item {twice!r} twice", expected="one label an item")
    if found.is_empty():
        example = f"{reference['item_id'][0]!r} there, {ids[0]!r} here" if reference.height else "no label"
        raise InputError("the reference labels no item of the panel", found=example, expected="items in common")
    return found


def refuse_foreign_gold(gold: set[str | None], labels: set[str | None], *, scores_only: bool) -> None:
    """A reference that has no label in common with the judges would call every verdict wrong."""
    if scores_only or gold & labels - {None}:
        return
    if not labels - {None}:
        raise InputError("no judge has a usable verdict to hold against the reference")
    raise InputError(
        f"the reference has the labels {choices(natural_order(g for g in gold if g is not None), 5)}",
        found=f"judges that say {choices(natural_order(t for t in labels if t is not None), 5)}",
        expected="a label in common, or a --map that makes one",
    )


def gold_codes(
    table: pl.DataFrame, ids: pl.Series, gold_map: Mapping[str, str | None], code_of: Mapping[str, int]
) -> Codes:
    targets = {text: code_of.get(target, -1) if target is not None else -1 for text, target in gold_map.items()}
    coded = table.select("item_id", code=pl.col("gold").replace_strict(targets, return_dtype=pl.Int16))
    joined = ids.to_frame().join(coded, on="item_id", how="left", maintain_order="left")
    return joined["code"].fill_null(-1).to_numpy()


def gold_weights(table: pl.DataFrame | None, ids: pl.Series, gold: Codes | None) -> Floats | None:
    """(N,) one over the probability with which each labelled item was drawn to be labelled, 0 for the others.

    The weights of a probability sample (Horvitz and Thompson 1952), in proportion, so that their mean over the labelled
    items is 1 (Hájek 1971). None where no probabilities are known, or all are the same.

    Raises
    ------
    InputError : a labelled item has none beside others that have one, or it is no number above 0 and at most 1.
    """
    if table is None or gold is None or DRAWN_WITH not in table.columns:
        return None
    drawn = ids.to_frame().join(table.select("item_id", DRAWN_WITH), on="item_id", how="left", maintain_order="left")
    given = drawn[DRAWN_WITH]
    known = gold >= 0
    if not known.any() or given.filter(pl.Series(known)).null_count() == known.sum():
        return None
    probability = given.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    bad = known & ~((probability > 0) & (probability <= 1))
    if bad.any():
        at = int(bad.argmax())
        raise InputError(
            f"the reference label of item {ids[at]!r} has no probability", column=DRAWN_WITH,
            found="null" if given[at] is None else given[at], expected="above 0 and at most 1 for every label",
        )  # fmt: skip
    if np.ptp(probability[known]) <= ZERO * probability[known].max():
        return None
    weight = np.where(known, 1 / np.where(known, probability, 1.0), 0.0)
    return np.asarray(weight / weight[known].mean())


def gold_picked(
    reference: str | pl.DataFrame | None, table: pl.DataFrame | None, ids: pl.Series, gold: Codes | None
) -> bool:
    """Whether only some items are labelled, and these are known to have been picked in a way that is not known.

    Of a judge's verdicts it is never known: other judges' rows may be why the column is there.
    """
    if not isinstance(reference, pl.DataFrame) or table is None or gold is None or DRAWN_WITH not in table.columns:
        return False
    there = ids.to_frame().filter(pl.Series(gold >= 0)).join(table, on="item_id", how="left")[DRAWN_WITH]
    return 0 < there.len() < gold.size and there.null_count() == there.len()


def reference_notes(
    reference: str | pl.DataFrame | None,
    found: pl.DataFrame | None,
    gold: Codes | None,
    *,
    weighted: bool = False,
    picked: bool = False,
) -> list[str]:
    """What a reader should know of a reference that does not fit the panel item for item, or is a sample of its own."""
    if found is None or gold is None:
        return []
    notes = []
    if weighted:
        notes.append(
            "the reference labels are a sample drawn with unequal probabilities: rates, and judges against the "
            "reference, weight each label by one over its own"
        )
    if picked:
        notes.append(f"{PICKED}: figures against them lean towards what was picked")
    labelled = int((gold >= 0).sum())
    if found.height > labelled:
        odd = _labels(found.height - labelled, "is", "are")
        notes.append(f"{odd} not among the question's labels")
    if labelled < gold.size:
        notes.append(f"the reference labels {labelled:,} of the {gold.size:,} items")
    if isinstance(reference, pl.DataFrame) and reference.height > found.height:
        notes.append(f"{_labels(reference.height - found.height, 'belongs', 'belong')} to no item here")
    return notes


def _labels(n: int, one: str, many: str) -> str:
    return f"1 label of the reference {one}" if n == 1 else f"{n:,} labels of the reference {many}"
