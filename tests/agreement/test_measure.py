"""Panel -> Agreement: counts add up, laws hold, and hostile panels get words instead of NaN."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score, recall_score

from interjudge.agreement.analysis import QuestionSpec, Tables, analyse, build
from interjudge.agreement.measure import MAX_PAIRED_JUDGES, Sampling, agree
from interjudge.agreement.panel import build_panel
from interjudge.agreement.require import parse_require
from interjudge.agreement.results import Agreement
from interjudge.datasets.schema import STATUS
from interjudge.errors import InputError

QUICK = Sampling(replicates=60)


def table(labels: list[list[str | None]], construct: str = "unstated", **columns: list) -> pl.DataFrame:
    """One row an item, one entry a judge; None is a parse error."""
    rows = [(f"i{n:04}", f"j{j}", label, n) for n, row in enumerate(labels) for j, label in enumerate(row)]
    frame = pl.DataFrame(
        {
            "item_id": [r[0] for r in rows],
            "judge": [r[1] for r in rows],
            "repeat": [0] * len(rows),
            "judge_kind": ["imported"] * len(rows),
            "construct": [construct] * len(rows),
            "status": pl.Series(["ok" if r[2] is not None else "parse_error" for r in rows], dtype=STATUS),
            "label": pl.Series([r[2] for r in rows], dtype=pl.String),
            "score": pl.Series([None] * len(rows), dtype=pl.Float64),
        }
    )
    return frame.with_columns(pl.Series(name, [values[r[3]] for r in rows]) for name, values in columns.items())


def random_labels(
    n: int, judges: int, names: str = "ab", missing: float = 0.1, seed: int = 0
) -> list[list[str | None]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(names), n)
    out: list[list[str | None]] = []
    for t in truth:
        said = np.where(rng.random(judges) < 0.8, t, rng.integers(0, len(names), judges))
        out.append([None if rng.random() < missing else names[s] for s in said])
    return out


def measured(frame: pl.DataFrame, **options) -> Agreement:
    return agree(build_panel(frame, **options), sampling=QUICK)


def test_every_row_is_counted_under_its_status():
    frame = table(random_labels(50, 3))
    found = measured(frame)
    assert found.n_items == 50
    assert found.n_verdicts == frame.height == sum(found.status_counts.values())
    assert found.status_counts["parse_error"] == frame["label"].null_count()
    for judge in found.judges:
        assert judge.n_ok + sum(judge.missing.values()) == 50
        assert sum(r.value for r in judge.rate.values()) == pytest.approx(1)


def test_reference_metrics_equal_scikit_learn():
    labels = random_labels(200, 2, missing=0.0)
    frame = table(labels)
    found = measured(frame, reference="j1", positive="b")
    mine, gold = [row[0] for row in labels], [row[1] for row in labels]
    (judge,) = found.judges
    assert judge.accuracy.value == pytest.approx(accuracy_score(gold, mine), abs=1e-12)
    assert judge.sensitivity.value == pytest.approx(recall_score(gold, mine, pos_label="b"), abs=1e-12)
    assert judge.specificity.value == pytest.approx(recall_score(gold, mine, pos_label="a"), abs=1e-12)
    j = balanced_accuracy_score(gold, mine, adjusted=True)  # Youden's J with two classes
    assert judge.youden_j.value == pytest.approx(j, abs=1e-12)
    assert judge.cohen_kappa.value == pytest.approx(cohen_kappa_score(gold, mine), abs=1e-12)


def test_bounds_span_what_missing_verdicts_could_have_said():
    found = measured(table([["b"], ["a"], [None], [None]], construct="x"))
    assert found.judges[0].bounds == (0.25, 0.75)


def test_slices_partition_the_items_and_repeat_the_whole_when_there_is_one():
    frame = table(random_labels(60, 3), model=["m", "n", "o"] * 20)
    found = agree(build_panel(frame, columns=["model"]), by=["model"], sampling=QUICK)
    assert sum(s.n_items for s in found.slices) == found.n_items
    one = table(random_labels(60, 3), model=["m"] * 60)
    whole = agree(build_panel(one, columns=["model"]), by=["model"], sampling=QUICK)
    assert whole.slices[0].coefficients == whole.coefficients
    assert whole.slices[0].judges == whole.judges


def test_the_same_panel_and_seed_give_the_same_bytes_whatever_the_order_of_the_rows():
    frame = table(random_labels(80, 3))
    one = measured(frame).model_dump_json()
    judges_first = frame.sort("judge", "item_id")
    assert measured(judges_first).model_dump_json() == one
    assert measured(judges_first.reverse().sort("judge", maintain_order=True)).model_dump_json() == one


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_duplicating_every_item_leaves_the_agreement_and_kappas(seed: int):
    labels = random_labels(12, 3, "abc", seed=seed)
    one, two = measured(table(labels)), measured(table(labels + labels))
    for a, b in zip(one.pairs, two.pairs, strict=True):
        for name in ("agreement", "cohen_kappa", "gwet_ac1", "mcc"):
            x, y = getattr(a, name).value, getattr(b, name).value
            assert x == y or x == pytest.approx(y, abs=1e-12)


HOSTILE = {
    "one judge": [["a"], ["b"], ["a"]],
    "one item": [["a", "b", "a"]],
    "one item and one judge": [["a"]],
    "one class": [["a", "a"]] * 5,
    "a judge with no ok verdict": [["a", None], ["b", None]],
    "no ok verdict at all": [[None, None]],
    "nobody shares an item": [["a", None], [None, "b"]],
    "labels that are numbers": [["1", "2"], ["2", "2"], ["10", "1"]],
    "fifty classes": [[str(n % 50), str((n * 7) % 50)] for n in range(100)],
    "all judges identical": [[c] * 4 for c in "abab"],
    "nearly everything one class": [["a", "a", "a"]] * 999 + [["b", "a", "a"]],
    "empty and odd labels": [["", " "], ["", "\x00"], ["\u202e", ""]],
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_hostile_panels_get_words_not_nan(name: str, level: str):
    frame = table(HOSTILE[name])
    if name == "no ok verdict at all":
        frame = pl.concat([frame, table([["a", "a"]]).with_columns(item_id=pl.lit("x"))])
    order = sorted(frame["label"].drop_nulls().unique())
    found = measured(frame, level=level, labels=order if level == "ordinal" else ())
    text = found.model_dump_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    for coefficient in json.loads(text)["coefficients"]:
        assert (coefficient["value"] is None) == (coefficient["undefined"] is not None)
    Agreement.model_validate_json(text)
    analyse(Tables(frame), sampling=QUICK)


def test_a_thousand_judges_are_measured_without_their_pairs():
    labels = random_labels(30, 1000, missing=0.7)
    found = measured(table(labels))
    assert len(found.judges) == 1000
    assert found.pairs == ()
    assert f"left out above {MAX_PAIRED_JUDGES}" in found.notes[-1]


def test_intervals_may_be_left_out():
    found = agree(build_panel(table(random_labels(30, 3))), sampling=Sampling(replicates=0))
    alpha = next(c for c in found.coefficients if c.name == "krippendorff_alpha")
    assert alpha.value is not None
    assert alpha.ci_low is None
    assert alpha.undefined is None


def test_too_many_slices_and_odd_sampling_are_refused():
    frame = table(random_labels(300, 2), key=list(range(300)))
    with pytest.raises(InputError, match="too many slices"):
        agree(build_panel(frame, columns=["key"]), by=["key"], sampling=QUICK)
    with pytest.raises(InputError, match="confidence"):
        Sampling(confidence=95)


def test_analysis_makes_a_question_of_every_construct_that_can_be_compared():
    judges = {"harm": 2, "refusal": 3, "coherence": 1}
    frames = [
        table(random_labels(20, n, seed=n), construct).with_columns(judge=pl.col("judge") + construct)
        for construct, n in judges.items()
    ]
    tables = Tables(pl.concat(frames))
    found = analyse(tables, sampling=QUICK)
    assert [q.agreement.question.name for q in found.questions] == ["refusal", "harm"]
    assert set(found.flags["question"]) == {"refusal", "harm"}
    gold = pl.DataFrame({"item_id": ["i0001"], "gold": ["a"], "criterion": ["coherence"]})
    more = analyse(Tables(tables.verdicts, reference=gold), sampling=QUICK)
    assert [q.agreement.question.name for q in more.questions] == ["refusal", "harm", "coherence"]
    assert more.questions[2].agreement.question.reference == "reference"
    assert more.questions[0].agreement.question.reference is None


def test_requirements_read_the_coefficient_at_the_questions_level():
    frame = table(random_labels(40, 3, "123", missing=0.0))
    found = agree(build(QuestionSpec(level="ordinal"), Tables(frame)), sampling=QUICK)
    ordinal = next(c for c in found.coefficients if c.name == "krippendorff_alpha" and c.level == "ordinal")
    assert parse_require(f"alpha>={ordinal.value - 1e-4:.6f}").holds(found)
    assert not parse_require(f"alpha>{ordinal.value + 1e-4:.6f}").holds(found)
    assert parse_require("alpha.ci_high>=-1").holds(found)
    assert "krippendorff_alpha >= 2: it is" in parse_require("alpha >= 2").verdict(found)


def test_an_undefined_coefficient_meets_no_requirement():
    found = measured(table([["a", "a"]] * 3))
    requirement = parse_require("alpha<=1")
    assert not requirement.holds(found)
    assert "undefined (one category)" in requirement.verdict(found)
