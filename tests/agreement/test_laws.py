"""Laws that every statistic keeps, checked on one table of all statistics.

Each property runs over random panels (hypothesis) and compares the whole table before and after, so a new
coefficient is held to all of them without a line of its own.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interjudge.agreement.alpha_scores import score_coefficients
from interjudge.agreement.coefficients import panel_coefficients
from interjudge.agreement.pairwise import all_pairs

K = 4
VALUES = np.array([1.0, 2.0, 4.0, 7.0])
LEVELS = ("nominal", "ordinal", "interval", "ratio")
# Where chance depends on how many labels the question has, used or not.
BY_LABELS = ("gwet_ac1", "gwet_ac2", "brennan_prediger", "pabak")

Table = dict[str, float | None]


def table(codes: np.ndarray, k: int = K, values: np.ndarray = VALUES) -> Table:
    """Every statistic of the panel and of its first two judges."""
    found: Table = {}
    for level in LEVELS:
        for c in panel_coefficients(codes, k, level=level, values=values, replicates=0):
            found[f"{c.name} ({c.level})"] = c.value
        if level != "nominal":
            for c in score_coefficients(np.append(values, np.nan)[codes], level=level, replicates=0):
                found[f"{c.name} of scores ({c.level})"] = c.value
    pair = all_pairs(codes[:, :2], k, ["a", "b"], ordered=True, positive=1, replicates=0)[0]
    for name, estimate in pair.model_dump(exclude={"a", "b"}).items():
        found[f"pair: {name}"] = estimate["value"]
    return found


def assert_equal(before: Table, after: Table, keep: Callable[[str], bool] = lambda _: True) -> None:
    """The same values, or none where there was none, for the statistics to `keep`."""
    for name, value in before.items():
        if keep(name):
            assert after[name] == pytest.approx(value, abs=1e-10), name


@st.composite
def panels(draw: st.DrawFn, missing: bool = True, judges: int | None = None) -> np.ndarray:
    """Codes (items, judges) with two labels at least in the first two judges' common items."""
    n_judges = judges or draw(st.integers(2, 5))
    items = draw(st.integers(3, 14))
    low = -1 if missing else 0
    cells = draw(st.lists(st.integers(low, K - 1), min_size=items * n_judges, max_size=items * n_judges))
    codes = np.array(cells, dtype=np.int8).reshape(items, n_judges)
    codes[:2, :2] = [[0, 1], [1, 1]]
    return codes


laws = settings(max_examples=25, deadline=None, derandomize=True)


@laws
@given(panels(), st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(codes: np.ndarray, random: object) -> None:
    order = list(range(len(codes)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis' Random
    assert_equal(table(codes), table(codes[order]))


@laws
@given(panels())
def test_the_order_of_judges_does_not_matter(codes: np.ndarray) -> None:
    """For pairs: every statistic is symmetric in its two judges."""
    swapped = codes.copy()
    swapped[:, [0, 1]] = codes[:, [1, 0]]
    assert_equal(table(codes), table(swapped))
    reverse = codes[:, ::-1]
    assert_equal(table(codes), table(reverse), keep=lambda name: not name.startswith("pair"))


@laws
@given(panels(), st.permutations(range(K)))
def test_the_names_of_labels_do_not_matter_at_the_nominal_level(codes: np.ndarray, new: list[int]) -> None:
    renamed = np.append(new, -1)[codes].astype(np.int8)
    ordered = ("linear", "quadratic", "positive", "negative")
    assert_equal(
        {n: v for n, v in table(codes).items() if "nominal" in n or (n.startswith("pair") and not n.endswith(ordered))},
        table(renamed),
        keep=lambda name: not any(word in name for word in ordered),
    )


@laws
@given(panels())
def test_turning_the_scale_round_does_not_matter_at_the_ordinal_and_interval_levels(codes: np.ndarray) -> None:
    """Labels in reverse, with the numbers mirrored; ratios are those of other numbers."""
    mirrored = np.where(codes < 0, -1, K - 1 - codes).astype(np.int8)
    values = (VALUES.max() + VALUES.min() - VALUES)[::-1]
    keep = ("(nominal)", "(ordinal)", "(interval)", "linear", "quadratic")
    assert_equal(table(codes), table(mirrored, values=values), keep=lambda n: n.endswith(keep) and "ratio" not in n)


@laws
@given(panels(), st.integers(2, 4))
def test_copies_of_all_items_leave_every_value_but_alpha(codes: np.ndarray, copies: int) -> None:
    """Alpha has a small-sample term: with n pairable values, copied c times,
    1 - alpha_c = (1 - alpha) (c n - 1) / (c (n - 1)), at every level."""
    given_ = (codes >= 0).sum(axis=1)
    n = given_[given_ >= 2].sum()
    before, after = table(codes), table(np.repeat(codes, copies, axis=0))
    assert_equal(before, after, keep=lambda name: "alpha" not in name)
    for name, value in before.items():
        if "alpha" in name and value is not None:
            assert 1 - after[name] == pytest.approx((1 - value) * (copies * n - 1) / (copies * (n - 1)), abs=1e-10)


@laws
@given(panels())
def test_what_nobody_judged_and_who_judged_nothing_do_not_matter(codes: np.ndarray) -> None:
    before = table(codes)
    assert_equal(before, table(np.vstack([codes, np.full((2, codes.shape[1]), -1, np.int8)])))
    assert_equal(before, table(np.column_stack([codes, np.full(len(codes), -1, np.int8)])))


@laws
@given(panels(), st.integers(0, K - 1))
def test_a_single_verdict_on_an_item_counts_for_label_shares_only(codes: np.ndarray, label: int) -> None:
    """Alpha, percent agreement, Brennan-Prediger and all pairs see pairable values; Gwet's generalisations of
    Fleiss, Conger and AC1 take label shares from every verdict."""
    single = np.full((1, codes.shape[1]), -1, np.int8)
    single[0, 0] = label
    seen = ("alpha", "percent", "brennan", "pair", "cohen")
    assert_equal(table(codes), table(np.vstack([codes, single])), keep=lambda name: any(word in name for word in seen))


@laws
@given(panels())
def test_a_label_nobody_gives_changes_only_chance_by_the_number_of_labels(codes: np.ndarray) -> None:
    """AC1, AC2 and Brennan-Prediger expect less agreement by chance with more labels to choose from. Weights
    stretch with the scale, so weighted forms are another question's."""
    before, after = table(codes), table(codes, K + 1, np.append(VALUES, 9.0))
    weighted = ("linear", "quadratic", "_ordinal", "_ratio", "ac2", "mean_")
    assert_equal(before, after, keep=lambda n: not any(w in n for w in (*BY_LABELS, *weighted)))
    for name in ("brennan_prediger (nominal)", "pair: pabak"):
        assert after[name] >= before[name]  # type: ignore[operator]  # both exist: two labels are in use


@laws
@given(panels())
def test_bounds(codes: np.ndarray) -> None:
    """Nothing is above 1; agreement is a share; correlations and two-judge kappas are at least -1."""
    for name, value in table(codes).items():
        if value is None:
            continue
        assert value <= 1 + 1e-12, name
        if "agreement" in name:
            assert value >= 0, name
        if name in ("pair: mcc", "pair: cohen_kappa", "pair: scott_pi", "pair: pabak"):
            assert value >= -1 - 1e-12, name


@laws
@given(st.lists(st.integers(0, K - 1), min_size=3, max_size=12), st.integers(2, 5))
def test_judges_who_never_differ_score_one(labels: list[int], judges: int) -> None:
    assume(len(set(labels)) > 1)
    codes = np.repeat(np.array(labels, dtype=np.int8)[:, None], judges, axis=1)
    for name, value in table(codes).items():
        assert value in (None, pytest.approx(1)), name
        # specific agreement on label 1 does not exist where nobody gives it; everything else does
        assert value is not None or name.endswith(("positive_agreement", "negative_agreement")), name


@laws
@given(panels())
def test_more_agreement_is_never_worse_for_raw_agreement(codes: np.ndarray) -> None:
    """Replacing the second judge by a copy of the first cannot lower the pair's agreement."""
    copied = codes.copy()
    copied[:, 1] = codes[:, 0]
    before, after = table(codes), table(copied)
    for name in ("pair: agreement", "pair: pabak"):
        if after[name] is not None and before[name] is not None:
            assert after[name] >= before[name]  # type: ignore[operator]  # checked above


def _intervals(codes: np.ndarray, clusters: np.ndarray | None) -> Iterator[tuple[str, dict[str, float]]]:
    options: dict[str, object] = {"clusters": clusters, "replicates": 200}
    for c in panel_coefficients(codes, K, level="ordinal", **options):  # type: ignore[arg-type]  # keyword options
        yield c.name, c.model_dump()
    for p in all_pairs(codes, K, list("abcde"), ordered=True, positive=1, **options):  # type: ignore[arg-type]  # keyword options
        yield from p.model_dump(exclude={"a", "b"}).items()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(panels(), st.booleans())
def test_intervals_hold_their_value_and_stay_in_range(codes: np.ndarray, clustered: bool) -> None:
    clusters = np.arange(len(codes)) // 2 if clustered else None
    for name, found in _intervals(codes, clusters):
        if found["ci_low"] is None:
            continue
        assert found["ci_low"] <= found["value"] <= found["ci_high"] <= 1 + 1e-12, name
        assert found["ci_low"] < found["ci_high"], name
        if "agreement" in name:
            assert found["ci_low"] >= 0, name
