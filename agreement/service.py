"""What a panel's judges fail to answer, whether by chance, and what their answers cost in money and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse, special

from interjudge.agreement.counts import Floats, count_block
from interjudge.agreement.intervals import proportion, wilson_estimates
from interjudge.agreement.multiple import holm
from interjudge.agreement.panel import Panel
from interjudge.agreement.results import Estimate
from interjudge.agreement.results_service import JudgeCost, JudgeMissing, Known, MissingGroup, MissingTest, Service
from interjudge.agreement.rows import CELL_STATUSES, NOT_ASKED, UNMAPPED
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.vote_patterns import Patterns

Ints = NDArray[np.int64]

MAX_GROUPS: Final = 200  # models; a table of more is nobody's reading
MAX_LISTED: Final = 10_000  # judges times groups; beyond, the tests stand without their groups
SIMULATIONS: Final = 9_999
_LEAST_EXPECTED: Final = 5.0  # Cochran (1954): below this expected count the chi-square distribution is not trusted

_OK: Final = CELL_STATUSES.index("ok")
_NOT_COUNTED: Final = (CELL_STATUSES.index(NOT_ASKED), CELL_STATUSES.index(UNMAPPED))
_SMEARED: Final = 1e-9  # of the largest eigenvalue; what is less is rounding
_NOTHING: Final = "nothing is missing"
_EVERYTHING: Final = "everything is missing"
_ONE_GROUP: Final = "one group"
_NO_MODELS: Final = "the items name no model"
_TOO_MANY: Final = f"more than {MAX_GROUPS} models"


def service(verdicts: pl.DataFrame, panel: Panel, *, sampling: Sampling | None = None) -> Service:
    """Missing verdicts, cost and latency of every judge of the panel.

    Parameters
    ----------
    verdicts : the whole table; the columns `latency_s`, `input_tokens`, `output_tokens` and `cost_usd` are
        looked for. `panel` : its items carry `model` where the outputs' models are to be told apart.
    """
    sampling = sampling or Sampling()
    models = _models(panel)
    said = _Others.of(panel)
    judges = [_missing(panel, j, models, said, sampling) for j in range(len(panel.judges))]
    return Service(
        confidence=sampling.confidence,
        n_models=0 if models is None else sum(name is not None for name in models.names),
        missing=_adjusted(judges),
        costs=_costs(verdicts, panel),
    )


@dataclass(frozen=True)
class _Groups:
    """G groups of items: their names, and the group of every item (N,), -1 for none."""

    names: tuple[str | None, ...]
    of: Ints


def _models(panel: Panel) -> _Groups | None:
    if "model" not in panel.items.columns:
        return None
    column = panel.items["model"].cast(pl.String)
    known = column.drop_nulls().unique().sort()
    if known.is_empty():
        return None
    code = column.cast(pl.Enum(known)).to_physical().cast(pl.Int64).fill_null(known.len()).to_numpy()
    return _Groups((*known, *([None] if column.has_nulls() else [])), code)


@dataclass(frozen=True)
class _Others:
    """The panel's votes by pattern, for the label that most of a judge's colleagues give."""

    patterns: Patterns
    counts: Floats

    @classmethod
    def of(cls, panel: Panel) -> _Others | None:
        if panel.scores is not None or len(panel.judges) < 2:
            return None
        k = len(panel.question.labels)
        patterns = Patterns.of(panel.codes, k)
        return cls(patterns, count_block(patterns.codes, k).T.astype(np.int32))

    def majority(self, judge: int) -> Ints:
        """(N,) the label most of the other judges give; -1 where there is none, or two are as frequent."""
        own = self.patterns.codes[:, judge]
        counts = self.counts - (own[:, None] == np.arange(self.patterns.k))
        top = counts.max(axis=1, initial=0)
        clear = ((counts == top[:, None]).sum(axis=1) == 1) & (top > 0)
        label = np.where(clear, counts.argmax(axis=1) if self.patterns.k else -1, -1)
        return label[self.patterns.index]


def _missing(panel: Panel, j: int, models: _Groups | None, others: _Others | None, sampling: Sampling) -> JudgeMissing:
    status = panel.statuses[:, j].astype(np.int64)
    counted = ~np.isin(status, _NOT_COUNTED)
    gone = counted & (status != _OK)
    n_gone = int(gone.sum())
    by_model: tuple[MissingGroup, ...] = ()
    by_label: tuple[MissingGroup, ...] = ()
    model_test, label_test = MissingTest(undefined=_NO_MODELS), MissingTest(undefined=_NOTHING)
    if models is not None and len(models.names) > MAX_GROUPS:
        model_test = MissingTest(undefined=_TOO_MANY)
    elif models is not None and not n_gone:
        model_test = MissingTest(undefined=_NOTHING)
    elif models is not None:
        by_model, table = _by_group(models, status, counted, panel, sampling)
        named = np.array([name is not None for name in models.names])
        model_test = independence(table[named], seed=sampling.seed)
        model_test = _with_clusters(model_test, gone, np.where(counted, models.of, -1), named, panel)
    if n_gone:
        label_test = MissingTest(undefined="no other judge" if others is None else _ONE_GROUP)
    if n_gone and others is not None:
        labels = _Groups(panel.question.labels, others.majority(j))
        by_label, table = _by_group(labels, status, counted, panel, sampling)
        label_test = independence(table, seed=sampling.seed)
        label_test = _with_clusters(
            label_test, gone, np.where(counted, labels.of, -1), np.ones(len(labels.names), bool), panel
        )
    return JudgeMissing(
        judge=panel.names[j],
        kind=panel.judges[j].kind,
        n=int(counted.sum()),
        missing=n_gone,
        not_asked=int((status == CELL_STATUSES.index(NOT_ASKED)).sum()),
        share=_share(gone, counted, panel, sampling),
        by_status=_statuses(np.bincount(status[gone], minlength=len(CELL_STATUSES))),
        by_model=by_model,
        model_test=model_test,
        by_label=by_label,
        label_test=label_test,
    )


def _share(gone: NDArray[np.bool_], counted: NDArray[np.bool_], panel: Panel, sampling: Sampling) -> Estimate:
    if panel.clusters is None:
        return wilson_estimates([gone.sum()], [counted.sum()], sampling.confidence)[0]
    return proportion(gone[counted], clusters=panel.clusters[counted], confidence=sampling.confidence)


def _statuses(counts: NDArray[np.intp]) -> dict[str, int]:
    return {name: int(n) for name, n in zip(CELL_STATUSES, counts, strict=True) if n}


def _by_group(
    groups: _Groups, status: Ints, counted: NDArray[np.bool_], panel: Panel, sampling: Sampling
) -> tuple[tuple[MissingGroup, ...], Ints]:
    """The groups that were asked about, and the table (G, 2) of missing and usable verdicts of all groups."""
    width, size = len(CELL_STATUSES), len(groups.names)
    some = counted & (groups.of >= 0)
    cells = np.bincount(groups.of[some] * width + status[some], minlength=size * width).reshape(size, width)
    usable = cells[:, _OK]
    table = np.column_stack([cells.sum(axis=1) - usable, usable])
    if size * len(panel.judges) > MAX_LISTED:
        return (), table
    shares = wilson_estimates(table[:, 0], table.sum(axis=1), sampling.confidence)
    if panel.clusters is not None:
        gone = some & (status != _OK)
        shares = [_share(gone & (groups.of == g), some & (groups.of == g), panel, sampling) for g in range(size)]
    cells[:, _OK] = 0
    found = tuple(
        MissingGroup(group=name, n=int(n), missing=int(m), share=share, by_status=_statuses(own))
        for name, n, m, share, own in zip(groups.names, table.sum(axis=1), table[:, 0], shares, cells, strict=True)
        if n
    )
    return found, table


def independence(table: Ints, *, seed: int = 0) -> MissingTest:
    """Whether rows of counts (G, 2) have the same shares: Pearson's chi-square (1900).

    Where a cell expects fewer than 5, p is the share of `SIMULATIONS` tables with the same margins, drawn at
    random, whose statistic is as large, the table itself counted with them (Hope 1968). Rows without any
    count say nothing and are left out.
    """
    table = table[table.sum(axis=1) > 0]
    size, (gone, usable) = table.sum(axis=1), table.sum(axis=0) if table.size else (0, 0)
    if not gone or not usable or size.size < 2:
        return MissingTest(undefined=_NOTHING if not gone else _EVERYTHING if not usable else _ONE_GROUP)
    statistic = float(_pearson(table[:, 0].astype(np.float64), size, gone))
    if size.min() * min(gone, usable) / size.sum() >= _LEAST_EXPECTED:
        p = float(special.chdtrc(size.size - 1, statistic))
        return MissingTest(p_value=p, statistic=statistic, how="chi-square")
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(size, gone, size=SIMULATIONS, method="marginals")
    as_large = _pearson(drawn.astype(np.float64), size, gone) >= statistic * (1 - 1e-9)
    p = float((1 + as_large.sum()) / (1 + SIMULATIONS))
    return MissingTest(p_value=p, statistic=statistic, how="simulated")


def _with_clusters(
    test: MissingTest, gone: NDArray[np.bool_], group: Ints, tested: NDArray[np.bool_], panel: Panel
) -> MissingTest:
    """The test with items that share a sampling unit taken together: the larger p of the plain and the robust one."""
    if panel.clusters is None or test.p_value is None:
        return test
    some = (group >= 0) & tested[np.maximum(group, 0)]
    p, statistic = robust_independence(gone[some], group[some], panel.clusters[some])
    if p <= test.p_value:
        return test
    return MissingTest(p_value=p, statistic=statistic, how="clustered")


def robust_independence(gone: NDArray[np.bool_], group: Ints, clusters: Ints) -> tuple[float, float]:
    """(p, statistic) of equal shares of `gone` (n,) in all groups, robust to dependence within clusters.

    The score test with a sandwich variance (Boos 1992; for a logistic model Rotnitzky and Jewell 1990): with
    a_c the vector over groups of cluster c's sums of (gone - p), less each group's part of its whole sum,
    s = sum a_c, V = C / (C - 1) sum a_c a_c', s' V^- s is chi-square with the rank of V.
    """
    _, column = np.unique(group, return_inverse=True)
    _, row = np.unique(clusters, return_inverse=True)
    n, size = int(row.max()) + 1, int(column.max()) + 1
    off = gone - gone.mean()
    sums = sparse.csr_array((off, (row, column)), shape=(n, size))
    part = np.bincount(column, minlength=size) / column.size
    whole = np.asarray(sums.sum(axis=1)).ravel()
    s = np.asarray(sums.sum(axis=0)).ravel() - part * whole.sum()
    cross = np.outer(np.asarray(sums.T @ whole).ravel(), part)
    spread = (np.asarray((sums.T @ sums).toarray()) - cross - cross.T + np.outer(part, part) * (whole @ whole)) * (
        n / max(n - 1, 1)
    )
    values, vectors = np.linalg.eigh(spread)
    used = values > _SMEARED * max(float(values.max(initial=0.0)), 1e-300)
    along = vectors[:, used].T @ s
    statistic = float((along**2 / values[used]).sum())
    return float(special.chdtrc(max(int(used.sum()), 1), statistic)), statistic


def _pearson(gone: Floats, size: Ints, total: int) -> Floats:
    """Chi-square of a table of two columns from its first one (..., G): sum n_g (p_g - p)^2 / (p (1 - p))."""
    p = total / size.sum()
    return np.asarray((size * (gone / size - p) ** 2).sum(axis=-1) / (p * (1 - p)))


def _adjusted(judges: Sequence[JudgeMissing]) -> tuple[JudgeMissing, ...]:
    """Either test corrected for the number of judges it was made for."""
    found = list(judges)
    for name in ("model_test", "label_test"):
        tests: list[MissingTest] = [getattr(judge, name) for judge in found]
        there = [(i, test.p_value) for i, test in enumerate(tests) if test.p_value is not None]
        for (i, _), p in zip(there, holm([p for _, p in there]), strict=True):
            found[i] = found[i].model_copy(update={name: tests[i].model_copy(update={"p_adjusted": p})})
    return tuple(found)


_FIGURES: Final = ("latency_s", "input_tokens", "output_tokens", "cost_usd")


def _costs(verdicts: pl.DataFrame, panel: Panel) -> tuple[JudgeCost, ...]:
    """One record a judge. A figure that is absent, not a number, infinite or below 0 is unknown."""
    there = [name for name in _FIGURES if name in verdicts.columns and verdicts[name].dtype.is_numeric()]
    known = [pl.col(name).cast(pl.Float64).alias(name) for name in there]
    table = verdicts.lazy().filter(pl.col("status") != "not_run").select("judge", *known)
    table = table.with_columns(
        pl.when(pl.col(name).is_finite() & (pl.col(name) >= 0)).then(pl.col(name)).alias(name) for name in there
    )
    sums = [
        expression.alias(f"{name}:{what}")
        for name in there
        for what, expression in (("n", pl.col(name).count()), ("sum", pl.col(name).sum()))
    ]
    spread = []
    if "latency_s" in there:
        latency = pl.col("latency_s")
        spread = [latency.median().alias("median"), latency.quantile(0.95, "linear").alias("p95")]
    rows = table.group_by("judge").agg(pl.len().alias("rows"), *sums, *spread).collect()
    found = {row["judge"]: row for row in rows.iter_rows(named=True)}
    return tuple(
        _cost(name, judge.kind, found.get(name, {})) for name, judge in zip(panel.names, panel.judges, strict=True)
    )


def _cost(judge: str, kind: str, row: dict[str, float | int | None]) -> JudgeCost:
    def known(name: str) -> Known:
        n = int(row.get(f"{name}:n") or 0)
        total = float(row.get(f"{name}:sum") or 0.0)
        return Known(n=n, total=total if n else None, mean=total / n if n else None)

    cost = known("cost_usd")
    return JudgeCost(
        judge=judge,
        kind=kind,
        n_verdicts=int(row.get("rows") or 0),
        latency_n=known("latency_s").n,
        latency_median_s=row.get("median"),
        latency_p95_s=row.get("p95"),
        input_tokens=known("input_tokens"),
        output_tokens=known("output_tokens"),
        cost_usd=cost,
        cost_per_1000=None if cost.mean is None else 1000 * cost.mean,
    )
