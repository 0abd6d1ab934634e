"""The cross-check compares with other libraries, says what it could not compare, and finds a real difference."""

import builtins
import sys

import numpy as np
import pytest

from interjudge.agreement import crosscheck
from interjudge.agreement.crosscheck import Check, cross_check, largest


def panel(items: int = 80, judges: int = 4, k: int = 3, missing: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, k, (items, 1))
    codes = np.where(rng.random((items, judges)) < 0.7, truth, rng.integers(0, k, (items, judges))).astype(np.int8)
    codes[rng.random(codes.shape) < missing] = -1
    return codes


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_no_difference_beyond_rounding(level: str) -> None:
    checks = cross_check(panel(), 3, level=level, values=[1, 2, 4], names=("a", "b", "c", "d"))
    assert largest(checks) == pytest.approx(0, abs=1e-10)
    assert {c.library for c in checks} == {"krippendorff", "statsmodels", "scikit-learn"}
    assert all(c.difference is not None for c in checks)
    names = {c.name for c in checks}
    assert {f"krippendorff_alpha ({level})", "krippendorff_alpha (nominal)", "fleiss_kappa", "mcc: a / d"} <= names
    assert ("cohen_kappa_quadratic: b / c" in names) == (level != "nominal")


def test_values_out_of_order_are_compared_all_the_same() -> None:
    checks = cross_check(panel(), 3, level="interval", values=[4, 1, 2])
    assert largest(checks) == pytest.approx(0, abs=1e-10)


def test_undefined_on_one_side_is_no_difference_but_is_shown() -> None:
    """In one category krippendorff raises or gives nan, scikit-learn's Matthews is 0: ours is null."""
    checks = cross_check(np.zeros((5, 2), np.int8), 2)
    by_name = {(c.name, c.library): c for c in checks}
    assert by_name["mcc: 0 / 1", "scikit-learn"].note == "undefined by our policy"
    assert by_name["agreement: 0 / 1", "scikit-learn"].difference == 0
    assert by_name["krippendorff_alpha (nominal)", "krippendorff"].difference is None
    nothing = cross_check(-np.ones((3, 2), np.int8), 2)
    assert largest(nothing) is None


def test_without_scikit_learn_its_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(builtins, "__import__", refuse)
    checks = cross_check(panel(), 3)
    missing = [c for c in checks if c.library == "scikit-learn"]
    assert missing
    assert {(c.note, c.theirs, c.difference) for c in missing} == {("not installed", None, None)}
    assert largest(checks) == pytest.approx(0, abs=1e-10)


def test_large_panels_are_compared_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosscheck, "MAX_CELLS", 9 * 50)
    checks = cross_check(panel(500), 3)
    assert all("random sample of 50 items" in (c.note or "") for c in checks)
    assert largest(checks) == pytest.approx(0, abs=1e-10)


def test_a_wrong_figure_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosscheck, "alpha_point", lambda *_, **__: 0.5)
    assert (largest(cross_check(panel(), 3)) or 0) > 0.01


def test_libraries_are_loaded_only_when_asked() -> None:
    """krippendorff is GPL and slow to find: importing the package must not load it."""
    import subprocess

    code = "import sys, interjudge.agreement.crosscheck; print({'krippendorff', 'sklearn'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_checks_are_plain_records() -> None:
    assert Check("a", "b", 1.0, None, None) == Check("a", "b", 1.0, None, None, None)
