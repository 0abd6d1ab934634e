"""Data that no statistic can be computed from: null, the same words everywhere, raw agreement where it exists."""

import numpy as np
import pytest

from interjudge.agreement.alpha_scores import score_coefficients
from interjudge.agreement.coefficients import alpha_point, krippendorff_alpha, panel_coefficients
from interjudge.agreement.pairwise import all_pairs, kappa_means
from interjudge.agreement.results import Coefficient, Estimate, Pair

NONE = -np.ones((4, 3), dtype=np.int8)
SINGLE = np.array([[0, -1, -1], [-1, 1, -1], [-1, -1, 0], [1, -1, -1]], dtype=np.int8)
SAME = np.ones((4, 3), dtype=np.int8)
PANELS = {
    "no items": np.empty((0, 3), dtype=np.int8),
    "one judge": np.array([[0], [1], [1]], dtype=np.int8),
    "no pairable items": SINGLE,
}


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
@pytest.mark.parametrize("reason", PANELS)
@pytest.mark.parametrize("clustered", [False, True])
def test_every_coefficient_gives_the_same_reason(reason: str, level: str, clustered: bool) -> None:
    codes = PANELS[reason]
    clusters = np.zeros(codes.shape[0], dtype=int) if clustered else None
    for found in panel_coefficients(codes, 2, level=level, values=[1, 2], clusters=clusters, replicates=50):
        assert (found.value, found.ci_low, found.ci_high, found.undefined) == (None, None, None, reason)
    assert alpha_point(codes, 2, level=level, values=[1, 2]) is None
    if level != "nominal":
        scores = np.array([1.0, 2.0, np.nan])[codes]
        assert score_coefficients(scores, level=level, clusters=clusters)[0].undefined == reason


def test_no_verdict_at_all_is_no_pairable_items() -> None:
    assert {c.undefined for c in panel_coefficients(NONE, 2)} == {"no pairable items"}


@pytest.mark.parametrize("k", [1, 2, 5])
def test_one_category_has_raw_agreement_and_nothing_else(k: int) -> None:
    """Every library does something else here: ValueError, nan, 1, ZeroDivisionError. We say so, and give the
    agreement with an interval that does not claim certainty."""
    codes = SAME if k > 1 else np.zeros_like(SAME)
    first, *rest = panel_coefficients(codes, k, level="ordinal")
    assert (first.name, first.value, first.ci_high, first.undefined) == ("percent_agreement", 1, 1, None)
    assert first.ci_low is not None
    assert first.ci_low < 1
    assert {(c.value, c.ci_low, c.undefined) for c in rest} == {(None, None, "one category")}
    assert krippendorff_alpha(codes, k).undefined == "one category"
    assert score_coefficients(codes.astype(float))[0].undefined == "one category"


def test_one_category_among_the_pairable_verdicts_is_one_category() -> None:
    """A second label that only single verdicts carry cannot be agreed or disagreed about."""
    codes = np.array([[0, 0], [0, 0], [1, -1]], dtype=np.int8)
    assert {c.undefined for c in panel_coefficients(codes, 2)[1:]} == {"one category"}


def _pair(a: list[int], b: list[int], k: int = 2, **options: object) -> Pair:
    codes = np.array([a, b], dtype=np.int8).T
    return all_pairs(codes, k, ["a", "b"], positive=1, replicates=50, **options)[0]  # type: ignore[arg-type]  # keyword options


@pytest.mark.parametrize("clusters", [None, np.arange(4)])
def test_pairs_that_share_no_item(clusters: np.ndarray | None) -> None:
    pair = _pair([0, 1, -1, -1], [-1, -1, 0, 1], ordered=True, clusters=clusters)
    found = [v for v in pair.model_dump().values() if isinstance(v, dict)]
    assert len(found) == 10
    assert {(v["value"], v["n"], v["undefined"]) for v in found} == {(None, 0, "no pairable items")}


@pytest.mark.parametrize("clusters", [None, np.arange(4)])
def test_pairs_in_one_category(clusters: np.ndarray | None) -> None:
    pair = _pair([1, 1, 1, 1], [1, 1, 1, 1], clusters=clusters)
    assert pair.agreement.value == 1
    assert pair.agreement.ci_low is not None
    for name in ("cohen_kappa", "scott_pi", "gwet_ac1", "pabak", "mcc"):
        assert getattr(pair, name).undefined == "one category"
    assert pair.positive_agreement is not None
    assert pair.positive_agreement.value == 1
    assert pair.negative_agreement is not None
    assert pair.negative_agreement.undefined == "label never given"


def test_a_judge_that_never_varies_has_kappa_but_no_matthews() -> None:
    """Cohen's kappa is then 0 by its formula; Matthews divides by zero."""
    pair = _pair([1, 1, 1, 1], [0, 1, 1, 0])
    assert pair.cohen_kappa.value == 0
    assert pair.mcc.undefined == "a judge never varies"


def test_kappa_means_without_any_kappa() -> None:
    assert kappa_means(SAME, 2) == [None] * 3
    assert kappa_means(PANELS["one judge"], 2) == [None]


def test_perfect_agreement_on_two_labels_is_one_but_not_certain() -> None:
    """Six items of three judges. Wilson at 100 % of n = 6: 6 / (6 + 1.96^2) = .6097. Chance for two labels,
    half and half, is .5: 1 - .3903 / .5 = .2194."""
    codes = np.repeat(np.array([[0], [1]] * 3, dtype=np.int8), 3, axis=1)
    for found in panel_coefficients(codes, 2):
        bound = 0.6097 if found.name == "percent_agreement" else 0.2194
        assert (found.value, found.ci_high) == (1, 1)
        assert found.ci_low == pytest.approx(bound, abs=1e-4)
    scores = codes * 3.5
    for level in ("ordinal", "interval", "ratio"):
        assert score_coefficients(scores, level=level)[0].ci_low == pytest.approx(0.2194, abs=1e-4)


def test_one_disagreement_in_a_thousand_has_alpha_near_zero_and_says_so() -> None:
    """99.9 % agreement with alpha 0 is real. Too many replicates lack the second label for alpha's interval;
    Fleiss' too; agreement and AC1 have theirs."""
    codes = np.zeros((1000, 2), dtype=np.int8)
    codes[0, 1] = 1
    found = {c.name: c for c in panel_coefficients(codes, 2)}
    assert found["percent_agreement"].value == 0.999
    assert found["krippendorff_alpha"].value == pytest.approx(0, abs=1e-10)
    assert found["krippendorff_alpha"].ci_low is None
    assert found["gwet_ac1"].ci_low is not None
    assert found["gwet_ac1"].ci_low > 0.98


def test_no_nan_or_infinity_leaves() -> None:
    """Random tiny panels with few verdicts: records build (they refuse NaN), and a null value has its reason."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        codes = rng.integers(-1, 3, (rng.integers(0, 6), rng.integers(1, 5))).astype(np.int8)
        codes[rng.random(codes.shape) < 0.4] = -1
        clusters = rng.integers(0, 3, codes.shape[0]) if rng.random() < 0.5 else None
        coefficients = panel_coefficients(codes, 3, level="ordinal", clusters=clusters, replicates=20)
        pairs = all_pairs(codes, 3, list("abcd"), ordered=True, positive=0, clusters=clusters, replicates=20)
        estimates = [v for p in pairs for v in vars(p).values() if isinstance(v, Estimate)]
        for found in [*coefficients, *estimates]:
            assert isinstance(found, (Estimate, Coefficient))
            assert (found.value is None) == (found.undefined is not None)
            assert (found.ci_low is None) == (found.ci_high is None)
            if found.value is not None and found.ci_low is not None:
                assert found.ci_low <= found.value <= found.ci_high
