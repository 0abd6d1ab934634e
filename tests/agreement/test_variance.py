"""Variance components: textbooks' tables, dense matrices, another library, and laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interjudge.agreement import variance
from interjudge.agreement.counts import Floats
from interjudge.agreement.variance import Undefined, Variances, variance_components
from interjudge.errors import InputError

# Brennan (2001), Table 3.2, synthetic data set 4: 10 persons, each rated by 4 raters in each of 3 tasks (rows here).
# Persons are the judges, raters the items, tasks the models.
BRENNAN_4 = np.array(
    [
        [5, 9, 3, 7, 9, 3, 7, 5, 9, 4], [6, 3, 4, 5, 2, 4, 3, 8, 9, 4], [5, 7, 3, 5, 9, 3, 7, 5, 8, 4],
        [5, 7, 3, 3, 7, 5, 7, 7, 8, 3], [5, 7, 5, 3, 7, 3, 7, 7, 6, 3], [3, 5, 3, 1, 7, 3, 5, 5, 6, 5],
        [4, 5, 3, 4, 3, 6, 5, 5, 6, 6], [5, 5, 5, 3, 7, 3, 7, 4, 5, 5], [6, 7, 6, 5, 2, 4, 5, 3, 5, 5],
        [7, 7, 5, 3, 7, 5, 5, 2, 8, 7], [3, 5, 1, 3, 5, 1, 5, 1, 1, 1], [3, 2, 6, 5, 3, 2, 4, 1, 1, 1],
    ],
    dtype=float,
)  # fmt: skip
TASKS = np.repeat([0, 1, 2], 4)
# Shrout and Fleiss (1979), Table 2: 6 targets, 4 judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def found(*asked: NDArray[Any], **options: Any) -> Variances:
    answer = variance_components(list(asked), **({"replicates": 0} | options))
    assert isinstance(answer, Variances)
    return answer


def test_nested_design_of_brennan() -> None:
    """Brennan (2001), p x (r:t) of synthetic data set 4: persons .4731, tasks .3252, raters within tasks .6475,
    persons x tasks .5596, residual 2.3802."""
    parts = found(BRENNAN_4, models=TASKS).parts
    expected = {"model": 0.3252, "item": 0.6475, "judge": 0.4731, "judge x model": 0.5596, "residual": 2.3802}
    assert parts == pytest.approx(expected, abs=6e-5)


def test_crossed_design_of_brennan() -> None:
    """The same data as p x i (Brennan 2001, Table 6.2): persons .6258, items .8840, residual 2.7872."""
    parts = found(BRENNAN_4).parts
    assert parts == pytest.approx({"item": 0.8840, "judge": 0.6258, "residual": 2.7872}, abs=6e-5)


def test_shrout_and_fleiss() -> None:
    """Mean squares of Shrout and Fleiss (1979): targets 11.24, judges 32.49, residual 1.02. So the components are
    (11.24 - 1.02) / 4, (32.49 - 1.02) / 6 and 1.02."""
    parts = found(SHROUT_FLEISS).parts
    expected = {"item": (11.24 - 1.02) / 4, "judge": (32.49 - 1.02) / 6, "residual": 1.02}
    assert parts == pytest.approx(expected, abs=5e-3)


def test_balanced_repeats_are_the_anova_of_statsmodels() -> None:
    """6 items x 3 judges x 2 repeats: (MS item - MS cell) / (3 x 2), and so on (two-way random effects)."""
    pd = pytest.importorskip("pandas")
    formula = pytest.importorskip("statsmodels.formula.api")
    anova = pytest.importorskip("statsmodels.stats.anova")
    rng = np.random.default_rng(1)
    first = rng.normal(size=(6, 1)) + rng.normal(size=(1, 3)) + rng.normal(size=(6, 3)) * 2
    y = first[..., None] + rng.normal(size=(6, 3, 2))
    item, judge, _ = (axis.ravel() for axis in np.indices(y.shape))
    frame = pd.DataFrame({"y": y.ravel(), "item": item, "judge": judge})
    table = anova.anova_lm(formula.ols("y ~ C(item) * C(judge)", frame).fit())
    ms = (table["sum_sq"] / table["df"]).to_list()
    raw = found(y[..., 0], y[..., 1])
    assert raw.facets == ("item", "judge", "item x judge", "residual")
    expected = [(ms[0] - ms[2]) / 6, (ms[1] - ms[2]) / 12, (ms[2] - ms[3]) / 2, ms[3]]
    assert raw.unrestricted == pytest.approx(expected)


def ragged(seed: int, n: int = 14, j: int = 4, turns: int = 2) -> tuple[list[Floats], NDArray[np.int64]]:
    """An unbalanced panel with missing verdicts and unequal models."""
    rng = np.random.default_rng(seed)
    asked = [rng.normal(size=(n, j)) + rng.normal(size=(n, 1)) for _ in range(turns)]
    for values in asked:
        values[rng.random((n, j)) < 0.35] = np.nan
    return asked, np.sort(rng.integers(0, 3, n))


@pytest.mark.parametrize("turns", [1, 2])
def test_expectations_are_traces_of_dense_matrices(turns: int) -> None:
    """E(y'Ay) = trace(A V) + mu^2 1'A1 (Searle, Casella and McCulloch 1992, appendix S.5), with A the projection on
    the levels of each facet and V the covariance of each component, in a panel with holes."""
    asked, model = ragged(3, turns=turns)
    values = np.stack(asked, axis=-1)
    item, judge, turn = np.nonzero(~np.isnan(values))
    y = values[item, judge, turn]
    levels = {
        "model": model[item],
        "item": item,
        "judge": judge,
        "judge x model": model[item] * 10 + judge,
        "item x judge": item * 10 + judge,
        "residual": np.arange(y.size),
    }
    if turns == 1:
        del levels["item x judge"]
    same = {name: (x[:, None] == x[None, :]).astype(float) for name, x in levels.items()}
    projections = [np.full((y.size, y.size), 1 / y.size)] + [s / s.sum(axis=1) for s in same.values()]
    covariances = [np.ones((y.size, y.size)), *same.values()]
    system = [[float((a * v).sum()) for v in covariances] for a in projections]
    dense = np.linalg.solve(system, [float(y @ a @ y) for a in projections])[1:]
    assert found(*asked, models=model).unrestricted == pytest.approx(dense)


def test_mixed_model_of_statsmodels_on_simulated_data() -> None:
    """REML on 120 items x 8 judges: other estimates of the same components; drawn with item 1, judge .25, rest .5."""
    pd = pytest.importorskip("pandas")
    mixed = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    rng = np.random.default_rng(5)
    y = rng.normal(size=(120, 1)) + 0.5 * rng.normal(size=(1, 8)) + 0.5**0.5 * rng.normal(size=(120, 8))
    item, judge = (axis.ravel() for axis in np.indices(y.shape))
    frame = pd.DataFrame({"y": y.ravel(), "item": item, "judge": judge, "all": 1})
    spread = {"item": "0 + C(item)", "judge": "0 + C(judge)"}
    reml = mixed.MixedLM.from_formula("y ~ 1", groups="all", vc_formula=spread, data=frame).fit()
    theirs = dict(zip(reml.model.exog_vc.names, reml.vcomp.tolist(), strict=True)) | {"residual": reml.scale}
    assert found(y).parts == pytest.approx(theirs, rel=2e-3)


def test_estimates_are_unbiased_with_missing_verdicts() -> None:
    """Mean over 400 simulated panels with 40 % missing at random: the components they were drawn with, within four
    standard errors of that mean."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(400):
        models = np.repeat(np.arange(4), [3, 6, 9, 12])
        y = (
            rng.normal(size=(4, 1))[models] * 0.5
            + rng.normal(size=(30, 1))
            + rng.normal(size=(1, 5)) * 0.7
            + (rng.normal(size=(4, 5)) * 0.4)[models]
            + rng.normal(size=(30, 5)) * 0.8
        )
        y[rng.random(y.shape) < 0.4] = np.nan
        rows.append(found(y, models=models).unrestricted)
    drawn = np.array([0.25, 1, 0.49, 0.16, 0.64])
    error = np.std(rows, axis=0) / 20
    assert (np.abs(np.mean(rows, axis=0) - drawn) < 4 * error).all()


def test_intervals_cover_when_items_are_redrawn() -> None:
    """Judges fixed, items redrawn: nominal 95 % intervals of the item and residual components and of the judges'
    (whose truth is then the variance of these very judges) hold it in 88 to 99 of 100 panels."""
    rng = np.random.default_rng(2)
    bias = rng.normal(size=(1, 5)) * 0.7
    truth = np.array([1.0, bias.var(ddof=1), 0.49])
    hits = np.zeros(3)
    for seed in range(100):
        y = rng.normal(size=(80, 1)) + bias + rng.normal(size=(80, 5)) * 0.7
        got = found(y, replicates=300, seed=seed)
        each = got.estimates(lambda c: np.stack([c[f] for f in ("item", "judge", "residual")], axis=-1), "none")
        hits += [e.ci_low is not None and e.ci_low <= t <= (e.ci_high or 0) for e, t in zip(each, truth, strict=True)]
    assert (hits >= 88).all(), hits


def test_replicates_of_sparse_panels_are_centred() -> None:
    """A judge with few items: drawn twice, an item would bring its residual twice and look like the judge's. As one
    item of weight two the replicates' mean stays near the estimate."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=(200, 1)) + rng.normal(size=(200, 60))
    y[rng.random(y.shape) < 0.9] = np.nan
    got = found(y, replicates=400)
    assert got.unrestricted[1] == pytest.approx(0, abs=0.05)
    assert got.replicates[:, 0].mean() == pytest.approx(got.value[0], abs=0.1)
    assert got.replicates[:, 1].mean() < 0.04


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(3, 25), st.integers(2, 5))
def test_order_and_names_change_nothing(seed: int, k: int, n: int, j: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, k, (n, j)).astype(np.int16)
    models = rng.integers(0, 2, n)
    before = variance_components([codes], k, models=models, replicates=0)
    rows, columns = rng.permutation(n), rng.permutation(j)
    renamed = np.append(rng.permutation(k), -1).astype(np.int16)[codes]  # code -1 takes the last
    after = variance_components([renamed[rows][:, columns]], k, models=1 - models[rows], replicates=0)
    assert type(before) is type(after)
    if isinstance(before, Variances) and isinstance(after, Variances):
        assert before.facets == after.facets
        assert after.unrestricted == pytest.approx(before.unrestricted, abs=1e-9)
        assert (before.value >= 0).all()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.floats(-1e6, 1e6), st.floats(0.01, 1e3))
def test_scores_may_be_shifted_and_scaled(seed: int, shift: float, scale: float) -> None:
    asked, model = ragged(seed)
    before = variance_components(asked, models=model, replicates=0)
    after = variance_components([a * scale + shift for a in asked], models=model, replicates=0)
    if isinstance(before, Variances) and isinstance(after, Variances):
        assert after.unrestricted == pytest.approx(before.unrestricted * scale**2, rel=1e-5, abs=1e-6 * scale**2)


def test_labels_are_the_sum_of_their_indicators() -> None:
    codes = np.random.default_rng(0).integers(-1, 4, (60, 5)).astype(np.int16)
    whole = found(codes, k=4).unrestricted
    each = [found(codes, k=4, positive=label).unrestricted for label in range(4)]
    assert whole == pytest.approx(np.sum(each, axis=0))


def test_two_labels_are_one_indicator() -> None:
    codes = np.random.default_rng(0).integers(0, 2, (60, 5)).astype(np.int16)
    expected = found(codes.astype(float)).unrestricted
    for positive in (None, 0, 1):
        assert found(codes, k=2, positive=positive).unrestricted == pytest.approx(expected)


def test_identical_judges_leave_only_items() -> None:
    codes = np.repeat(np.random.default_rng(0).integers(0, 2, (50, 1)), 4, axis=1).astype(np.int16)
    assert found(codes, k=2).parts == pytest.approx({"item": 0.25, "judge": 0, "residual": 0}, abs=0.02)


def test_negative_estimates_become_zero_and_stay_known() -> None:
    """Judges that oppose each other: items have less variance than chance gives."""
    codes = np.array([[0, 1], [1, 0]] * 10, np.int16)
    got = found(codes, k=2)
    assert got.unrestricted[0] < 0
    assert got.parts["item"] == 0


@pytest.mark.parametrize(
    ("codes", "why"),
    [
        (np.zeros((0, 3), np.int16), "no items"),
        (np.full((5, 3), -1, np.int16), "no items"),
        (np.array([[0], [1]], np.int16), "one judge"),
        (np.array([[0, -1], [1, -1]], np.int16), "one judge"),
        (np.array([[0, 1, 1]], np.int16), "one item"),
        (np.zeros((9, 3), np.int16), "one category"),
        (np.where(np.eye(4, dtype=bool), 1, -1).astype(np.int16) - np.eye(4, dtype=np.int16) * [0, 1, 0, 1],
         "too few outputs that judges share"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_said_in_words(codes: NDArray[np.int16], why: str) -> None:
    assert variance_components([codes], 2) == Undefined(why)


def test_models_of_one_output_each_are_left_out_with_words() -> None:
    got = found(BRENNAN_4, models=np.arange(12))
    assert got.facets == ("item", "judge", "residual")
    assert "too few outputs" in got.notes[0]


def test_a_thousand_judges_and_a_rare_label() -> None:
    rng = np.random.default_rng(0)
    wide = np.where(rng.random((300, 1000)) < 0.02, rng.integers(0, 2, (300, 1000)), -1).astype(np.int16)
    rare = (rng.random((20_000, 4)) < 1e-4).astype(np.int16)
    for codes in (wide, rare):
        got = found(codes, k=2, replicates=50)
        assert np.isfinite(got.replicates).all()
        assert np.isfinite(got.leave_out).all()


def test_too_many_to_resample_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variance, "_BUDGET", 1000)
    got = found(BRENNAN_4, models=TASKS, replicates=100)
    assert got.replicates.size == 0
    assert "too many to resample" in got.notes[0]
    assert got.parts["judge"] == pytest.approx(0.4731, abs=6e-5)


def test_groups_of_items_give_the_same_components() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 3, (12_000, 3)).astype(np.int16)
    models = rng.integers(0, 3, 12_000)
    assert found(codes, k=3, models=models).unrestricted == pytest.approx(
        found(codes, k=3, models=models, clusters=np.arange(12_000) % 50).unrestricted
    )


def test_repeats_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match="do not fit"):
        variance_components([np.zeros((3, 2)), np.zeros((3, 3))])
