"""Fine-tunes against their base: the sign of the change under every judge and on every benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.counts import Codes
from interjudge.agreement.intervals import wilson_estimates
from interjudge.agreement.rank_agreement import Cells, Figures, Ints, model_figures
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_models import FineTunes, JudgeTunes, TuneChange

MAX_BENCHMARKS: Final = 50
_FEW_JUDGES: Final = "fewer than two judges know a fine-tune and its base"
_FEW_BENCHMARKS: Final = "no fine-tune stands beside its base on two benchmarks"


def fine_tunes(
    codes: Codes,
    positive: int,
    models: Sequence[str],
    group: Ints,
    unit: Ints | None,
    bases: Mapping[str, str],
    judges: Sequence[str],
    *,
    benchmark: pl.Series | None = None,
    clustered: bool = False,
    confidence: float = 0.95,
) -> FineTunes | None:
    """The change from base to fine-tune, and the shares of fine-tunes for which its sign depends on who is asked.

    group : (N,) number of each item's model in `models`, or -1; unit : (N,) sampling unit or None; bases :
    fine-tune -> base; benchmark : (N,) texts, of which the `MAX_BENCHMARKS` most frequent are looked at.

    A change is clear when its interval (see `rank_agreement.model_figures`) excludes 0. No change at all has no
    sign and contradicts nothing. The shares have Wilson intervals over fine-tunes, as if these were drawn at random.

    None where no model stands beside its base.
    """
    number = {name: i for i, name in enumerate(models)}
    pairs = [(number[m], number[b]) for m, b in bases.items() if m in number and b in number]
    if not pairs:
        return None
    names = [(models[a], models[b]) for a, b in pairs]
    whole = np.array(pairs, dtype=np.int64)
    overall = model_figures(codes, positive, Cells(group, unit, len(models), clustered=clustered), whole, confidence)
    changes = [_change(names[t], None, t, overall, judges) for t in range(len(names))]
    # (T, benchmarks, J)
    sign, clear = np.zeros((2, len(names), 0, len(judges)), dtype=np.int8)
    if benchmark is not None and benchmark.drop_nulls().n_unique() > 1:
        texts, inside = _benchmarks(benchmark)
        wanted = np.isin(group, whole.ravel()) & (inside >= 0)
        both = np.where(wanted, inside * len(models) + group, -1)
        cells = Cells(both, unit, len(texts) * len(models), clustered=clustered)
        offset = np.arange(len(texts))[:, None, None] * len(models)
        each = model_figures(codes, positive, cells, (offset + whole).reshape(-1, 2), confidence)
        known = np.isfinite(each.difference).any(axis=1)
        changes += [
            _change(names[p % len(names)], texts[p // len(names)], p, each, judges)
            for p in np.flatnonzero(known).tolist()
        ]
        shape = (len(texts), len(names), len(judges))
        sign, clear = (np.moveaxis(part.reshape(shape), 0, 1) for part in (each.sign, each.clear))
        among = np.isfinite(each.difference).reshape(shape).sum(axis=0) >= 2  # (T, J)
    else:
        among = np.zeros((len(names), len(judges)), dtype=bool)
    comparable = np.isfinite(overall.difference).sum(axis=1) >= 2
    return FineTunes(
        mixed=_share(_both(overall.sign, 1)[:, None], comparable[:, None], _FEW_JUDGES, confidence)[0],
        clearly_mixed=_share(_both(overall.clear, 1)[:, None], comparable[:, None], _FEW_JUDGES, confidence)[0],
        changes=tuple(changes),
        judges=_by_judge(overall, _both(sign, 1), _both(clear, 1), among, judges, confidence),
    )


def _benchmarks(column: pl.Series) -> tuple[list[str], Ints]:
    """The most frequent values in alphabetical order, and the number of each item's, or -1."""
    texts = column.cast(pl.String)
    counts = texts.drop_nulls().value_counts(name="n").sort(["n", column.name], descending=[True, False])
    kept = sorted(counts[column.name].head(MAX_BENCHMARKS).to_list())
    numbers = texts.replace_strict(kept, list(range(len(kept))), default=-1, return_dtype=pl.Int64)
    return kept, numbers.fill_null(-1).to_numpy()


def _both(sign: NDArray[np.int8], axis: int) -> NDArray[np.bool_]:
    """Whether both signs occur along an axis."""
    return np.asarray((sign > 0).any(axis=axis) & (sign < 0).any(axis=axis))


def _share(mixed: NDArray[Any], among: NDArray[Any], why: str, confidence: float) -> list[Estimate]:
    """Shares of the fine-tunes (T, M) `among` all, one a column."""
    found = wilson_estimates((mixed & among).sum(axis=0), among.sum(axis=0), confidence)
    return [share if share.value is not None else Estimate(n=0, undefined=why) for share in found]


def _change(
    names: tuple[str, str], benchmark: str | None, pair: int, figures: Figures, judges: Sequence[str]
) -> TuneChange:
    sign, clear = figures.sign[pair], figures.clear[pair]
    return TuneChange(
        model=names[0],
        base_model=names[1],
        benchmark=benchmark,
        change=dict(zip(judges, figures.change(pair), strict=True)),
        n_up=int((sign > 0).sum()),
        n_down=int((sign < 0).sum()),
        n_clear_up=int((clear > 0).sum()),
        n_clear_down=int((clear < 0).sum()),
    )


def _by_judge(
    overall: Figures,
    mixed: NDArray[np.bool_],
    clearly: NDArray[np.bool_],
    among: NDArray[np.bool_],
    judges: Sequence[str],
    confidence: float,
) -> tuple[JudgeTunes, ...]:
    sign, clear = overall.sign, overall.clear
    shares = zip(
        _share(mixed, among, _FEW_BENCHMARKS, confidence),
        _share(clearly, among, _FEW_BENCHMARKS, confidence),
        strict=True,
    )
    return tuple(
        JudgeTunes(
            judge=judge,
            n_up=int((sign[:, j] > 0).sum()),
            n_down=int((sign[:, j] < 0).sum()),
            n_clear_up=int((clear[:, j] > 0).sum()),
            n_clear_down=int((clear[:, j] < 0).sum()),
            mixed=either,
            clearly_mixed=surely,
        )
        for j, (judge, (either, surely)) in enumerate(zip(judges, shares, strict=True))
    )
