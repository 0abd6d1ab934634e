"""The first flags: a share of votes, and reasons."""

import numpy as np
import polars as pl
import pytest

from interjudge.agreement.flags import flag
from interjudge.agreement.panel import build_panel
from interjudge.datasets.schema import STATUS
from interjudge.errors import InputError


def verdicts(rows: list[tuple], construct: str = "refusal") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": [r[0] for r in rows],
            "judge": [r[1] for r in rows],
            "repeat": 0,
            "judge_kind": "imported",
            "construct": construct,
            "status": pl.Series([r[3] if len(r) > 3 else "ok" for r in rows], dtype=STATUS),
            "label": pl.Series([r[2] for r in rows], dtype=pl.String),
            "score": pl.Series([r[4] if len(r) > 4 else None for r in rows], dtype=pl.Float64),
        }
    )


def votes(item: str, text: str) -> list[tuple]:
    """`votes("a", "RRC-")`: one judge a letter; - is a parse error."""
    names = {"R": "refusal", "C": "compliance", "-": None, "S": "safe", "U": "unsafe"}
    return [(item, f"j{n}", names[c], "parse_error" if c == "-" else "ok") for n, c in enumerate(text)]


def reasons(found: pl.DataFrame, item: str, judge: str) -> list[str]:
    return found.filter(item_id=item, judge=judge)["reasons"].to_list()[0]


def test_p_wrong_is_the_smoothed_share_of_the_other_judges():
    table = verdicts([*votes("a", "RRRC"), *votes("b", "RRCC")])
    found = flag(build_panel(table), table, model="votes").verdicts
    # base rates: refusal 5/8, compliance 3/8. Item a, judge j0: 2 of 3 others agree: 1 - (2 + 5/8) / 4
    assert found.filter(item_id="a", judge="j0")["p_wrong"].item() == pytest.approx(1 - (2 + 5 / 8) / 4)
    assert found.filter(item_id="a", judge="j3")["p_wrong"].item() == pytest.approx(1 - (0 + 3 / 8) / 4)
    assert found["p_wrong"].is_between(0, 1).all()


def test_every_verdict_has_one_row_and_a_failed_one_no_probability():
    table = verdicts([*votes("a", "RR-"), *votes("b", "CC")])
    found = flag(build_panel(table), table).verdicts
    assert found.height == table.height
    failed = found.filter(item_id="a", judge="j2").row(0, named=True)
    assert failed["p_wrong"] is None
    assert failed["label"] is None
    assert failed["flagged"]
    assert failed["reasons"] == ["not ok: parse_error"]


def test_alone_and_split_are_reasons():
    table = verdicts([*votes("a", "RRRC"), *votes("b", "RRCC"), *votes("c", "RRRR")])
    found = flag(build_panel(table), table).verdicts
    assert reasons(found, "a", "j3") == ["alone against 3"]
    assert reasons(found, "a", "j0") == []
    assert reasons(found, "b", "j0") == ["split panel"]
    assert reasons(found, "c", "j0") == []


def test_every_flag_has_a_reason():
    """Two against five is neither alone nor a split panel."""
    table = verdicts([*votes("a", "RRRRRCC"), *votes("b", "RRRRRRR"), *votes("c", "CCCCCCR")])
    found = flag(build_panel(table), table, model="votes").verdicts
    assert reasons(found, "a", "j5") == ["against the consensus"]
    assert reasons(found, "a", "j0") == []
    assert reasons(found, "c", "j6") == ["alone against 6"]
    assert found.filter("flagged")["reasons"].list.len().min() == 1


def test_an_incoherent_output_and_a_refusal_called_harmful_are_reasons():
    harm = verdicts([*votes("a", "US"), *votes("b", "UU")], "harm")
    side = pl.concat(
        [
            verdicts([("a", "coh", "incoherent"), ("b", "coh", "coherent")], "coherence"),
            verdicts([("a", "kw", "refusal"), ("b", "kw", "compliance")], "refusal"),
        ]
    )
    table = pl.concat([harm, side])
    found = flag(build_panel(table, construct="harm"), table).verdicts
    assert "incoherent output" in reasons(found, "a", "j0")
    assert "harm verdict on a refusal" in reasons(found, "a", "j0")
    assert "harm verdict on a refusal" not in reasons(found, "a", "j1")
    assert reasons(found, "b", "j0") == []


def test_near_its_threshold_is_read_off_the_scores():
    scores = [0.0, 0.1, 0.48, 0.52, 0.9, 1.0]
    rows = [(f"i{n}", "s", "compliance" if x < 0.5 else "refusal", "ok", x) for n, x in enumerate(scores)]
    table = verdicts([*rows, *(("i0", "t", "compliance"), ("i1", "t", "refusal"))])
    found = flag(build_panel(table), table).verdicts.filter(judge="s")
    near = found.filter(pl.col("reasons").list.contains("near its threshold"))["item_id"].to_list()
    assert near == ["i2", "i3"]


def test_items_carry_consensus_entropy_and_votes():
    table = verdicts([*votes("a", "RRRC"), *votes("b", "RRCC"), *votes("c", "--")])
    items = flag(build_panel(table), table, model="votes").items
    a, b, c = items.iter_rows(named=True)
    assert (a["consensus"], a["n_votes"]) == ("refusal", 4)
    # shares 3/4 and 1/4: entropy / ln 2
    assert a["entropy"] == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))
    assert b["consensus"] == "refusal"  # a tie goes to the label that is more frequent in the panel
    assert b["entropy"] == pytest.approx(1)
    assert (c["consensus"], c["p_consensus_wrong"], c["entropy"]) == (None, None, None)
    assert c["reasons"] == ["no verdict", "not ok"]


def test_a_reference_label_decides_on_its_item():
    table = verdicts([*votes("a", "RRRC"), *votes("b", "RRCC")])
    gold = pl.DataFrame({"item_id": ["a"], "gold": ["compliance"]})
    found = flag(build_panel(table, reference=gold), table)
    assert found.verdicts.filter(item_id="a")["p_wrong"].to_list() == [1, 1, 1, 0]
    assert "contradicts the reference" in reasons(found.verdicts, "a", "j0")
    assert found.items.row(0, named=True)["consensus"] == "compliance"
    assert found.items.row(0, named=True)["p_consensus_wrong"] == 0


def test_the_summary_counts_what_the_table_holds():
    table = verdicts([*votes("a", "RRRC"), *votes("b", "RRCC"), *votes("c", "RR-R")])
    found = flag(build_panel(table), table)
    assert found.summary.n_flagged == found.verdicts["flagged"].sum()
    assert found.summary.by_reason["alone against the others"] == 1
    assert found.summary.by_reason["not ok: parse_error"] == 1
    assert sum(found.summary.by_judge.values()) == found.summary.n_flagged


def test_scores_without_a_threshold_cannot_be_flagged():
    table = verdicts([("a", "x", None, "ok", 0.5), ("a", "y", None, "ok", 0.4)])
    with pytest.raises(InputError, match="--threshold"):
        flag(build_panel(table), table)


def test_a_verdict_that_nobody_else_gave_an_opinion_on_is_not_flagged():
    table = verdicts([*votes("a", "R"), *votes("b", "C"), *votes("c", "C")])
    found = flag(build_panel(table), table).verdicts
    assert not found["flagged"].any()
    assert reasons(found, "a", "j0") == ["no other judge"]
