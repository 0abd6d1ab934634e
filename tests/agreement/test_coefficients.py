"""Coefficients of the whole panel against publications, statsmodels and stored values of irrCAC 0.4.x."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import fleiss_kappa

from interjudge.agreement.coefficients import panel_coefficients
from interjudge.agreement.pairwise import all_pairs

# irrCAC's raw_4raters (Gwet 2014, table 2.11) and a random panel; 0 is missing. Item 12 and item 4 of them have
# one verdict and none.
GWET = [
    (1, 1, 0, 1), (2, 2, 3, 2), (3, 3, 3, 3), (3, 3, 3, 3), (2, 2, 2, 2), (1, 2, 3, 4),
    (4, 4, 4, 4), (1, 1, 2, 1), (2, 2, 2, 2), (0, 5, 5, 5), (0, 0, 1, 1), (0, 0, 3, 0),
]  # fmt: skip
RANDOM = [
    (3, 4, 0, 0, 4), (2, 2, 4, 1, 0), (0, 2, 2, 4, 2), (0, 0, 0, 0, 0), (4, 4, 0, 0, 0), (0, 0, 0, 0, 0),
    (4, 1, 1, 0, 1), (3, 3, 1, 3, 3), (3, 1, 0, 1, 0), (2, 2, 0, 2, 0), (2, 2, 2, 0, 2), (3, 2, 1, 1, 1),
    (1, 1, 1, 1, 1), (0, 3, 1, 1, 0), (3, 3, 3, 3, 0), (0, 0, 4, 4, 0),
]  # fmt: skip
# Values of irrCAC, CAC(..., categories=..., digits=12): Fleiss, Gwet, Brennan-Prediger, Conger by weights.
IRRCAC = {
    "gwet": {
        "identity": (0.761169275422, 0.775444068127, 0.772727272727, 0.762817441303),
        "linear": (0.817944767097, 0.858739136433, 0.848484848485, 0.813776319966),
        "quadratic": (0.864935064935, 0.914000723552, 0.901515151515, 0.857710656223),
        "ordinal": (0.850206189397, 0.898939769908, 0.886363636364, 0.843659525188),
        "ratio": (0.821338343945, 0.85736755783, 0.840236692761, 0.81196517587),
    },
    "random": {
        "identity": (0.528037933116, 0.530861433303, 0.530158730159, 0.52806353972),
        "linear": (0.490983399902, 0.481358017551, 0.478095238095, 0.476701727731),
        "quadratic": (0.489518508497, 0.467177503648, 0.460952380952, 0.459123884674),
        "ordinal": (0.489997267843, 0.471887515633, 0.466666666667, 0.464985977929),
        "ratio": (0.444310957257, 0.411242142513, 0.405351865629, 0.454089617073),
    },
    "random, a fifth label nobody uses": {
        "identity": (0.528037933116, 0.566749637782, 0.559523809524, 0.52806353972),
        "linear": (0.490983399902, 0.629352284421, 0.592261904762, 0.476701727731),
    },
}
PANELS = {"gwet": (GWET, 5), "random": (RANDOM, 4), "random, a fifth label nobody uses": (RANDOM, 5)}


def values_of(codes: np.ndarray, k: int, **options: object) -> dict[tuple[str, str], float | None]:
    found = panel_coefficients(codes, k, replicates=0, **options)  # type: ignore[arg-type]  # keyword options
    return {(c.name, c.level): c.value for c in found}


def codes_of(rows: list[tuple[int, ...]]) -> np.ndarray:
    return np.array(rows, dtype=np.int8) - 1


@pytest.mark.parametrize(("panel", "weights"), [(p, w) for p, by_weight in IRRCAC.items() for w in by_weight])
def test_equals_irrcac_with_missing_verdicts(panel: str, weights: str) -> None:
    rows, k = PANELS[panel]
    level = "ratio" if weights in ("ratio", "linear", "quadratic") else "ordinal"
    found = values_of(codes_of(rows), k, level=level, values=np.arange(1.0, k + 1))
    gwet = {"identity": "gwet_ac1", level: "gwet_ac2"}.get(weights, f"gwet_ac2_{weights}")
    names = ["fleiss_kappa", gwet, "brennan_prediger", "conger_kappa"]
    if weights != "identity":
        names = [n if n.startswith("gwet") else f"{n}_{weights}" for n in names]
    at = "nominal" if weights == "identity" else level
    assert [found[n, at] for n in names] == pytest.approx(list(IRRCAC[panel][weights]), abs=1e-10)


@pytest.mark.parametrize(("panel", "agreement"), [("gwet", 0.818181818182), ("random", 0.647619047619)])
def test_percent_agreement_is_irrcacs(panel: str, agreement: float) -> None:
    rows, k = PANELS[panel]
    assert values_of(codes_of(rows), k)["percent_agreement", "nominal"] == pytest.approx(agreement, abs=1e-10)


def test_gwets_four_raters_alpha() -> None:
    """Gwet (2014): alpha of the same data is .74342."""
    assert values_of(codes_of(GWET), 5)["krippendorff_alpha", "nominal"] == pytest.approx(0.74342, abs=5e-6)


# Fleiss (1971) as worked through on Wikipedia: 10 subjects, 14 raters, 5 categories.
FLEISS = [
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
]  # fmt: skip


def test_fleiss_example() -> None:
    """Fleiss .2099, Randolph .2225, alpha .2156 (Wikipedia; statsmodels; krippendorff)."""
    codes = np.array([np.repeat(np.arange(5), counts) for counts in FLEISS], dtype=np.int8)
    found = values_of(codes, 5)
    assert found["fleiss_kappa", "nominal"] == pytest.approx(0.2099, abs=5e-5)
    assert found["brennan_prediger", "nominal"] == pytest.approx(0.2225, abs=5e-5)
    assert found["krippendorff_alpha", "nominal"] == pytest.approx(0.2156, abs=5e-5)


def test_diagnoses_of_fleiss_1971() -> None:
    """30 patients x 6 psychiatrists: Fleiss .43024, alpha .43341 (statsmodels' own test data)."""
    from statsmodels.stats.tests.test_inter_rater import diagnoses

    found = values_of(np.asarray(diagnoses, dtype=np.int8) - 1, 5)
    assert found["fleiss_kappa", "nominal"] == pytest.approx(0.43024, abs=5e-6)
    assert found["krippendorff_alpha", "nominal"] == pytest.approx(0.43341, abs=5e-6)


@st.composite
def complete(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    k, judges, items = draw(st.integers(2, 4)), draw(st.integers(2, 5)), draw(st.integers(2, 20))
    cells = draw(st.lists(st.integers(0, k - 1), min_size=items * judges, max_size=items * judges))
    codes = np.array(cells, dtype=np.int8).reshape(items, judges)
    codes[0, :2] = 0, 1
    return codes, k


@settings(max_examples=60, deadline=None, derandomize=True)
@given(complete())
def test_complete_panels_equal_statsmodels_and_tie_alpha_to_fleiss(panel: tuple[np.ndarray, int]) -> None:
    """alpha = 1 - (1 - Fleiss) (n - 1) / n with n all verdicts (Krippendorff's small-sample term)."""
    codes, k = panel
    counts = (codes[:, :, None] == np.arange(k)).sum(axis=1)
    found = values_of(codes, k)
    fleiss = found["fleiss_kappa", "nominal"]
    assert fleiss == pytest.approx(fleiss_kappa(counts, method="fleiss"), abs=1e-10)
    assert found["brennan_prediger", "nominal"] == pytest.approx(fleiss_kappa(counts, method="randolph"), abs=1e-10)
    alpha = 1 - (1 - fleiss) * (codes.size - 1) / codes.size
    assert found["krippendorff_alpha", "nominal"] == pytest.approx(alpha, abs=1e-10)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(complete())
def test_two_judges_panel_and_pair_agree(panel: tuple[np.ndarray, int]) -> None:
    """With two complete judges Fleiss is Scott's pi, Conger is Cohen's kappa, and AC1 and BP are the pair's."""
    codes, k = panel[0][:, :2], panel[1]
    found = {name: value for (name, _), value in values_of(codes, k).items()}
    pair = all_pairs(codes, k, ["a", "b"], replicates=0)[0]
    for panel_name, pair_name in (
        ("percent_agreement", "agreement"),
        ("fleiss_kappa", "scott_pi"),
        ("conger_kappa", "cohen_kappa"),
        ("cohen_kappa_mean", "cohen_kappa"),
        ("gwet_ac1", "gwet_ac1"),
        ("brennan_prediger", "pabak"),
    ):
        assert found[panel_name] == pytest.approx(getattr(pair, pair_name).value, abs=1e-10)


def test_krippendorffs_complete_units_give_four_different_answers() -> None:
    """On the complete units of Krippendorff (2011), section C: alpha .6527, Fleiss .6415, Conger .6458, mean
    pairwise Cohen .6435 - four definitions, each verified with a second library."""
    rows = [(2, 2, 3, 2), (3, 3, 3, 3), (3, 3, 3, 3), (2, 2, 2, 2), (1, 2, 3, 4), (4, 4, 4, 4), (1, 1, 2, 1), (2,) * 4]
    found = values_of(codes_of(rows), 5)
    names = ("krippendorff_alpha", "fleiss_kappa", "conger_kappa", "cohen_kappa_mean")
    assert [found[n, "nominal"] for n in names] == pytest.approx([0.6527, 0.6415, 0.6458, 0.6435], abs=5e-5)


def test_names_levels_and_methods_are_complete_and_unique() -> None:
    codes = codes_of(RANDOM)
    nominal = panel_coefficients(codes, 4, replicates=10)
    assert [c.name for c in nominal] == [
        "percent_agreement", "krippendorff_alpha", "fleiss_kappa", "conger_kappa", "gwet_ac1",
        "brennan_prediger", "cohen_kappa_mean",
    ]  # fmt: skip
    ordinal = panel_coefficients(codes, 4, level="ordinal", replicates=10)
    assert [(c.name, c.level) for c in ordinal[:3]] == [
        ("percent_agreement", "nominal"), ("krippendorff_alpha", "ordinal"), ("krippendorff_alpha", "nominal"),
    ]  # fmt: skip
    assert len({(c.name, c.level) for c in ordinal}) == len(ordinal)
    weighted = {c.name: c.method for c in ordinal if c.name.startswith(("gwet_ac2", "fleiss_kappa_"))}
    assert weighted["gwet_ac2"].startswith("ordinal weights")
    assert weighted["gwet_ac2_linear"].startswith("linear weights")
    assert weighted["fleiss_kappa_quadratic"].startswith("quadratic weights")
    assert all("replicates of items" in c.method or "Wilson" in c.method for c in ordinal)


def test_coefficients_rest_on_the_pairable_items() -> None:
    """Two of the sixteen items have no verdict; of Gwet's twelve one has a single verdict."""
    assert {c.n for c in panel_coefficients(codes_of(RANDOM), 4, replicates=0)} == {14}
    assert {c.n for c in panel_coefficients(codes_of(GWET), 5, replicates=0)} == {11}
