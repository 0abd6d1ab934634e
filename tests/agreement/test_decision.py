"""Decision studies: published coefficients, Spearman and Brown, and the smallest numbers that reach a target."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interjudge.agreement.decision import (
    check_target,
    copied,
    d_study,
    errors,
    g_study,
    number_of,
    reach,
    spearman_brown,
)
from interjudge.agreement.results_plan import GStudy
from interjudge.agreement.variance import Variances, variance_components
from interjudge.errors import InputError

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)
COMPONENT = st.floats(0.001, 10)


def found(*asked: Any, **options: Any) -> Variances:
    answer = variance_components([np.asarray(a) for a in asked], **({"replicates": 0} | options))
    assert isinstance(answer, Variances)
    return answer


def study(*asked: Any, **options: Any) -> GStudy:
    return g_study(found(*asked, **options), "scores")


def test_brennan_crossed_design() -> None:
    """Brennan (2001), Table 6.5: with persons .6258, items .8840 and residual 2.7872 (Table 6.2), 12 items give
    E rho^2 = .729 and Phi = .672. Persons are here the items, items the judges."""
    of = errors({"item": 0.6258, "judge": 0.8840, "residual": 2.7872}, "item", 12)
    assert float(of.generalizability) == pytest.approx(0.729, abs=6e-4)
    assert float(of.dependability) == pytest.approx(0.672, abs=6e-4)


def test_shrout_and_fleiss_forms_of_the_intraclass_correlation() -> None:
    """One judge: ICC(C,1) = .715 and ICC(A,1) = .290; four: ICC(C,k) = .909 and ICC(A,k) = .620."""
    g = study(SHROUT_FLEISS)
    values = (
        g.generalizability_of_one.value, g.dependability_of_one.value, g.generalizability.value, g.dependability.value,
    )  # fmt: skip
    assert values == pytest.approx((0.715, 0.290, 0.909, 0.620), abs=5e-4)


@pytest.mark.filterwarnings("ignore")  # pandas warns of what pingouin does
def test_an_independent_library_has_the_same_intraclass_correlations() -> None:
    pd = pytest.importorskip("pandas")
    pingouin = pytest.importorskip("pingouin")
    rng = np.random.default_rng(3)
    y = rng.normal(size=(25, 1)) + rng.normal(size=(1, 6)) + rng.normal(size=(25, 6))
    item, judge = (axis.ravel() for axis in np.indices(y.shape))
    table = pingouin.intraclass_corr(
        pd.DataFrame({"y": y.ravel(), "item": item, "judge": judge}), targets="item", raters="judge", ratings="y"
    )
    theirs = table["ICC"].to_list()  # 1, A1, C1, 1k, Ak, Ck
    g = study(y)
    assert g.dependability_of_one.value == pytest.approx(theirs[1], abs=5e-4)
    assert g.generalizability_of_one.value == pytest.approx(theirs[2], abs=5e-4)
    assert g.dependability.value == pytest.approx(theirs[4], abs=5e-4)
    assert g.generalizability.value == pytest.approx(theirs[5], abs=5e-4)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(COMPONENT, COMPONENT, COMPONENT, st.integers(1, 50))
def test_spearman_brown_is_the_special_case(item: float, judge: float, residual: float, n: int) -> None:
    parts = {"item": item, "judge": judge, "residual": residual}
    one, many = errors(parts, "item", 1), errors(parts, "item", n)
    assert many.generalizability == pytest.approx(spearman_brown(one.generalizability, n))
    assert many.dependability == pytest.approx(spearman_brown(one.dependability, n))


def test_spearman_brown_doubles_a_half() -> None:
    """2 x .5 / (1 + .5) = .667."""
    assert float(spearman_brown(0.5, 2)) == pytest.approx(2 / 3)


def test_errors_of_models_are_those_of_brennans_rules() -> None:
    """(i:m) x j with 4 outputs and 10 judges, components as published for synthetic data set 4: relative error
    .6475 / 4 + .5596 / 10 + 2.3802 / 40, absolute besides .4731 / 10."""
    parts = {"model": 0.3252, "item": 0.6475, "judge": 0.4731, "judge x model": 0.5596, "residual": 2.3802}
    of = errors(parts, "model", 10, 4)
    assert float(of.relative) == pytest.approx(0.161875 + 0.05596 + 0.059505)
    assert float(of.absolute - of.relative) == pytest.approx(0.04731)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.fixed_dictionaries(
        dict.fromkeys(("model", "item", "judge", "judge x model", "item x judge", "residual"), COMPONENT)
    ),
    st.sampled_from(["item", "model"]),
    st.sampled_from(["judges", "items", "repeats"]),
    st.sampled_from(["generalizability", "dependability"]),
    st.floats(0.3, 0.95),
)
def test_the_smallest_number_reaches_the_target_and_one_less_does_not(
    parts: dict[str, float], of: Any, what: Any, coefficient: Any, target: float
) -> None:
    numbers = {"judges": 3.0, "items": 40.0, "repeats": 2.0}
    if of == "item" and what == "items":
        return  # more outputs do not make one output's verdict better
    n = number_of(float(reach(parts, of, what, coefficient, target, **numbers)))

    def value(m: float) -> float:
        return float(getattr(errors(parts, of, **(numbers | {what: m})), coefficient))

    if n is None:
        assert value(1e6) < target + 1e-6
    else:
        assert value(n) >= target - 1e-9
        assert n == 1 or value(n - 1) < target + 1e-9


def test_a_copy_of_a_judge_is_worth_less_than_none() -> None:
    """Weights 2/3 and 1/3 on two judges: error (4 + 1) / 9 of one judge's, against 1/2 without the copy."""
    parts = {"item": 1.0, "residual": 1.0}
    assert float(copied(parts, 2)) == pytest.approx(1 / (1 + 5 / 9))
    assert float(copied(parts, 2)) < float(errors(parts, "item", 2).generalizability)
    assert float(copied(parts, 1)) == pytest.approx(float(errors(parts, "item", 1).generalizability))


def test_a_copy_in_the_data_does_what_the_formula_says() -> None:
    """The mean of three judges and a copy of one, correlated with the true score of simulated items: its square is
    the reliability."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=200_000)
    y = true[:, None] + rng.normal(size=(200_000, 3)) * 1.2
    mean = np.column_stack([y, y[:, 0]]).mean(axis=1)
    expected = float(np.corrcoef(true, mean)[0, 1]) ** 2
    assert float(copied({"item": 1.0, "residual": 1.44}, 3)) == pytest.approx(expected, abs=3e-3)


def test_number_of_the_ends() -> None:
    assert number_of(1.0) == 1
    assert number_of(0.5) == 1
    assert number_of(0.25) == 3
    assert number_of(0.2499) == 4
    assert number_of(0.0) is None
    assert number_of(float("nan")) is None


def test_study_of_outputs_and_judges() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 1)) + rng.normal(size=(200, 4)) * 1.5
    d = d_study(found(y, replicates=200), 0.8, effective_judges=2.5)
    judges = d.needed[0]
    assert (judges.of, judges.what, judges.coefficient) == ("item", "judges", "generalizability")
    assert judges.value == pytest.approx(9, abs=2)  # 2.25 / (1 x .25)
    assert judges.low is not None
    assert judges.high is not None
    assert judges.low <= judges.value <= judges.high
    at = {p.n_judges: p for p in d.points}
    assert at[judges.value].generalizability >= 0.8 > at[4].generalizability
    assert d.next_judge is not None
    assert d.next_judge.copy_of_one < d.next_judge.now < d.next_judge.fresh
    assert d.effective_judges == 2.5


def test_what_no_number_reaches_has_words() -> None:
    """Judges that rank the models differently: more outputs do not help; and outputs without differences."""
    rng = np.random.default_rng(0)
    models = np.repeat(np.arange(6), 50)
    y = (rng.normal(size=(6, 3)) + 0.5 * rng.normal(size=(6, 1)))[models] + rng.normal(size=(300, 3))
    items = next(n for n in d_study(found(y, models=models), 0.9).needed if n.what == "items")
    assert items.value is None
    assert items.undefined is not None
    assert items.undefined.startswith("any number of items reaches .".replace(" .", " 0."))
    opposed = np.array([[0, 1], [1, 0]] * 10, np.int16)
    judges = d_study(found(opposed, k=2), 0.8).needed[0]
    assert judges.value is None
    assert "do not differ" in (judges.undefined or "")


def test_repeats_that_help_are_planned() -> None:
    """Component of outputs 1, of repeats 1: 4 askings of one judge reach .8, where judges agree but for chance."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(3000, 1)) + np.zeros((3000, 2))
    asked = [true + rng.normal(size=true.shape) for _ in range(3)]
    d = d_study(found(*asked), 0.9)
    repeats = next(n for n in d.needed if n.what == "repeats")
    assert repeats.value == pytest.approx(math.ceil(9 / 2), abs=1)
    assert {p.n_repeats for p in d.points} == {1, 2, 3, 5}


@pytest.mark.parametrize("target", [0.0, 1.0, -1.0, float("nan")])
def test_a_target_is_between_0_and_1(target: float) -> None:
    with pytest.raises(InputError, match="target"):
        check_target(target)


def test_records_say_what_they_rest_on() -> None:
    codes = np.random.default_rng(0).integers(-1, 2, (60, 3)).astype(np.int16)
    g = g_study(found(codes, k=2, models=np.arange(60) % 2), "labels")
    assert sum(c.share.value or 0 for c in g.components) == pytest.approx(1)
    assert any("asked twice" in note for note in g.notes)
    assert any("not every judge" in note for note in g.notes)
    assert any("2 models" in note for note in g.notes)
    below = [c.facet for c in g.components if (c.unrestricted or 0) < 0]
    assert all((c.value == 0) == (c.facet in below) for c in g.components)
