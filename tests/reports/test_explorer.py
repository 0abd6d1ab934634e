"""What the page carries of every output: order, texts once, a cut that is said."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from interjudge.agreement.analysis import Analysis, QuestionSpec, Tables, analyse
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import STATUS
from interjudge.reports import explorer as module
from interjudge.reports.explorer import build_explorer, pack, unpack


@pytest.fixture(scope="module")
def given_tables() -> Tables:
    n = 40
    outputs = pl.DataFrame(
        {
            "item_id": [f"i{i:02d}" for i in range(n)],
            "model": ["m1" if i % 2 else "m2" for i in range(n)],
            "prompt": [f"prompt {i // 2}" for i in range(n)],
            "response": ["x" * 5000 if i == 0 else f"response {i}\u202e" for i in range(n)],
        }
    )
    said = {"a": [i % 2 for i in range(n)], "b": [i % 2 for i in range(n)], "c": [(i + (i == 7)) % 2 for i in range(n)]}
    rows = [
        {"item_id": f"i{i:02d}", "judge": j, "construct": "refusal", "judge_kind": "human", "status": "ok", "repeat": 0,
         "label": ["compliance", "refusal"][labels[i]], "rationale": f"{j} on {i}" if j == "c" else None, "raw": "RAW"}
        for j, labels in said.items() for i in range(n)
    ]  # fmt: skip
    return Tables(pl.DataFrame(rows).cast({"status": STATUS}), outputs)


@pytest.fixture(scope="module")
def analysed(given_tables: Tables) -> Analysis:
    spec = QuestionSpec(construct="refusal")
    return analyse(given_tables, questions=[spec, spec], sampling=Sampling(replicates=20))


def built(tables: Tables, analysed: Analysis, **more: Any) -> Any:
    return build_explorer(analysed.questions, analysed.flagged, tables.verdicts, tables.outputs, **more)


def test_what_is_packed_comes_back() -> None:
    value = {"a": ["</script>", "\u2028", "ü", None, -1]}
    assert unpack(pack(value)) == value
    assert set(pack(value)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")


def test_the_least_certain_output_comes_first_and_every_verdict_is_there(
    given_tables: Tables, analysed: Analysis
) -> None:
    table = unpack(built(given_tables, analysed).table)
    assert len(table["questions"]) == 2  # two of one construct are not mixed up
    q = table["questions"][0]
    first = table["outputs"]["id"][q["output"][0]]
    assert first == "i07"  # the one output that judges differ on
    assert [q["labels"][v["label"][0]] for v in q["verdicts"]] == ["refusal", "refusal", "compliance"]
    assert len(q["output"]) == 40
    expected = analysed.flags.filter((pl.col("item_id") == "i07") & (pl.col("judge") == "c"))["p_wrong"][0]
    assert q["verdicts"][2]["p"][0] == round(1000 * expected)


def test_the_reference_label_of_every_output_is_there(given_tables: Tables) -> None:
    """On the question's own labels; an output without one has none."""
    gold = pl.DataFrame({"item_id": ["i03", "i07"], "gold": ["refusal", "compliance"]})
    given = Tables(given_tables.verdicts, given_tables.outputs, gold, "people")
    analysed = analyse(given, questions=[QuestionSpec(construct="refusal")], sampling=Sampling(replicates=20))
    table = unpack(built(given, analysed, references=analysed.references).table)
    (q,) = table["questions"]
    known = {table["outputs"]["id"][o]: q["labels"][g] for o, g in zip(q["output"], q["gold"], strict=True) if g >= 0}
    assert known == {"i03": "refusal", "i07": "compliance"}
    assert q["reference"] == "people"
    assert "gold" not in unpack(built(given, analysed).table)["questions"][0]


def test_each_text_stands_once_and_shows_what_is_hidden_in_it(given_tables: Tables, analysed: Analysis) -> None:
    found = built(given_tables, analysed)
    texts = unpack(found.texts)
    assert texts["pool"].count("prompt 3") == 1
    output = unpack(found.table)["outputs"]["id"].index("i07")
    assert texts["pool"][texts["prompt"][output]] == "prompt 3"
    assert texts["pool"][texts["response"][output]] == "response 7\\u202e"
    assert texts["pool"][texts["words"]["2"][str(output)]] == "c on 7"
    assert "RAW" not in texts["pool"]  # the whole reply only where it was no verdict
    assert found.cut is None  # 5,000 characters fit


def test_a_small_budget_cuts_and_says_where(
    given_tables: Tables, analysed: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLANS", ((4_000, 1.0, 0), (1_000, 0.25, 8)))
    found = built(given_tables, analysed)
    assert found.cut == (4_000, 40, 0)
    assert max(len(text) for text in unpack(found.texts)["pool"]) == 4_000
    monkeypatch.setattr(module, "BUDGET", 1_000)
    found = built(given_tables, analysed)
    assert found.cut == (1_000, 10, 8)
    texts, table = unpack(found.texts), unpack(found.table)
    shown = [texts["pool"][at] for at in texts["prompt"]]
    assert shown[0] == "prompt 3"  # of i07, the most disputed
    assert max(len(text) for text in shown[10:]) == 8
    assert all(int(output) < 10 for output in texts["words"]["2"])  # the others have no rationale
    assert table["outputs"]["id"][0] == "i07"


def test_redacted_it_has_no_texts(given_tables: Tables, analysed: Analysis) -> None:
    found = built(given_tables, analysed, redacted=True)
    assert found.texts is None
    assert "prompt 3" not in str(unpack(found.table))


def test_many_outputs_are_cut_to_the_least_certain(
    given_tables: Tables, analysed: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 5)
    found = built(given_tables, analysed)
    assert (found.questions[0].n, found.questions[0].total) == (5, 40)
    assert found.questions[0].rows[0].item == "i07"
    assert found.questions[0].rows[0].votes == "2 refusal, 1 compliance"


def test_without_labels_there_is_nothing_to_explore(given_tables: Tables, analysed: Analysis) -> None:
    assert build_explorer(analysed.questions, (None, None), given_tables.verdicts) is None
