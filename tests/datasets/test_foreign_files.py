"""Files that other tools wrote (made by make_foreign_files.py), and small ones of the same shape."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from interjudge.datasets.foreign import Found, formats, read_found, understood
from interjudge.datasets.foreign_values import Scale, plain, scored
from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.reference import read_reference
from interjudge.datasets.source import open_source
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

FILES = Path(__file__).parent / "foreign"


def found(path: Path, name: str | None = None) -> Found:
    made = read_found(open_source(path), name)
    assert made is not None
    return made


def said(frame: pl.DataFrame | None, judge: str) -> list[tuple[str, str | None, float | None]]:
    """Status, label and score of each of a judge's verdicts, in the order of the file."""
    assert frame is not None
    return frame.filter(judge=judge).select(pl.col("status").cast(pl.String), "label", "score").rows()


def write(folder: Path, name: str, value: object) -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


# ---- Inspect AI ----


@pytest.mark.parametrize("kind", ["eval", "json"])
def test_inspect_scorers_are_judges_and_epochs_are_outputs_of_their_own(kind: str) -> None:
    """Three samples in two epochs; `includes` found the target in the first epoch alone, `manners` has two values."""
    pytest.importorskip("inspect_ai", reason="inspect_ai is an optional extra")
    log = found(FILES / f"inspect_small_talk.{kind}")
    assert log.outputs is not None
    assert log.verdicts is not None
    assert log.outputs.height == 6
    assert log.outputs["item_id"].n_unique() == 6
    assert sorted(log.outputs["repeat"]) == [0, 0, 0, 1, 1, 1]
    assert set(log.outputs["model"]) == {"mockllm/model"}
    assert set(log.outputs["benchmark"]) == {"small_talk"}
    by_epoch = log.verdicts.filter(judge="includes").select("epoch", "label", "score").unique().sort("epoch").rows()
    assert by_epoch == [("1", "correct", 1.0), ("2", "incorrect", 0.0)]
    assert set(log.verdicts["judge"]) == {"includes", "brevity", "manners:polite", "manners:length"}
    assert set(log.verdicts.filter(judge="includes")["construct"]) == {"correctness"}
    assert set(log.verdicts.filter(judge="manners:polite")["label"]) == {"true", "false"}
    assert log.verdicts.filter(judge="brevity", sample_id="bird", epoch="1")["score"].item() == 0.5  # 1 / 2 words


def test_inspect_unscored_is_a_status_with_its_reason_and_never_a_label() -> None:
    """`brevity` left one sample unscored (NaN) because its grader failed."""
    pytest.importorskip("inspect_ai", reason="inspect_ai is an optional extra")
    verdicts = read_verdicts(FILES / "inspect_small_talk.eval")
    lost = verdicts.filter((pl.col("judge") == "brevity") & (pl.col("status") != "ok"))
    assert lost.select("sample_id", "epoch").rows() == [("bird", "2")]
    assert lost.select(pl.col("status").cast(pl.String), "label", "score").rows() == [("parse_error", None, None)]
    assert "grader_failed" in lost["raw"].item()
    assert verdicts["score"].is_nan().sum() == 0


def test_inspect_values_mean_what_their_scorer_makes_of_them(tmp_path: Path) -> None:
    """1.0 of a scorer with thirds is the end of its scale, no label; C among A and B is a letter, no grade."""
    pytest.importorskip("inspect_ai", reason="inspect_ai is an optional extra")
    log = json.loads((FILES / "inspect_small_talk.json").read_text())
    for n, sample in enumerate(log["samples"]):
        scores = sample["scores"]
        scores["letter"] = {**scores["includes"], "value": "ABC"[n % 3]}
        scores["found"] = {**scores["brevity"], "value": n % 2}
        scores["brevity"]["value"] = 1.0 if n == 0 else 1 / 3
    log["samples"][1]["scores"]["includes"]["value"] = float("nan")
    verdicts = read_verdicts(write(tmp_path, "log.json", log))
    assert said(verdicts, "brevity")[:2] == [("ok", None, 1.0), ("ok", None, 1 / 3)]
    assert [label for _, label, _ in said(verdicts, "letter")] == ["A", "B", "C"] * 2
    assert set(verdicts.filter(judge="letter")["construct"]) != {"correctness"}
    assert said(verdicts, "found")[:2] == [("ok", "0", 0.0), ("ok", "1", 1.0)]
    assert said(verdicts, "includes")[:2] == [("ok", "correct", 1.0), ("not_run", None, None)]
    assert set(verdicts.filter(judge="includes")["construct"]) == {"correctness"}


def test_both_forms_of_an_inspect_log_give_the_same_tables() -> None:
    pytest.importorskip("inspect_ai", reason="inspect_ai is an optional extra")
    packed, plain_ = (read_verdicts(FILES / f"inspect_small_talk.{kind}") for kind in ("eval", "json"))
    order = ["item_id", "judge"]
    assert_frame_equal(packed.sort(order), plain_.sort(order), check_column_order=False)


def test_without_inspect_ai_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "inspect_ai.log", None)
    with pytest.raises(InputError, match=r"is not installed; expected pip install 'interjudge\[inspect\]'"):
        read_outputs(FILES / "inspect_small_talk.eval")


# ---- lm-evaluation-harness ----


def test_lm_eval_metrics_and_filters_are_judges_on_one_output_a_document() -> None:
    """The dummy model says lol to three questions; the expected answer of the first is lol."""
    made = found(FILES / "samples_small_talk_2026-01-01T00-00-00.000000.jsonl")
    assert made.outputs is not None
    assert made.outputs["response"].to_list() == ["lol"] * 3
    assert made.outputs["prompt"][0] == "Name a hot drink."
    assert set(made.outputs["benchmark"]) == {"small_talk"}
    expected = [("ok", "correct", 1.0), ("ok", "incorrect", 0.0), ("ok", "incorrect", 0.0)]
    assert said(made.verdicts, "exact_match") == expected
    assert said(made.verdicts, "exact_match,lower") == expected
    assert any("bleu" in note for note in made.notes)  # a corpus metric has no value for a sample


def test_lm_eval_multiple_choice_response_is_the_likeliest_choice() -> None:
    path = FILES / "samples_small_choice_2026-01-01T00-00-00.000000.jsonl"
    made = found(path)
    assert made.outputs is not None
    for line, response in zip(path.read_text().splitlines(), made.outputs["response"], strict=True):
        row = json.loads(line)
        first, second = (float(one[0]) for one in row["filtered_resps"])
        assert response == row["doc"]["choices"][0 if first > second else 1]
        assert (row["acc"] == 1.0) == (response == row["doc"]["choices"][0])


def test_lm_eval_a_choice_that_is_certain_is_the_likeliest(tmp_path: Path) -> None:
    """Log-likelihood 0 is probability 1."""
    line = json.loads((FILES / "samples_small_choice_2026-01-01T00-00-00.000000.jsonl").read_text().splitlines()[0])
    line["filtered_resps"] = [[-0.5, False], [0.0, True]]
    made = found(write(tmp_path, "samples.jsonl", json.dumps(line) + "\n"))
    assert made.outputs is not None
    assert made.outputs["response"].to_list() == [line["doc"]["choices"][1]]


# ---- jailbreak and refusal benchmarks ----


def test_harmbench_results_have_the_classifier_and_the_keywords_and_minus_one_is_a_classifier_that_failed() -> None:
    """Two behaviours before the classifier, the second time it says neither yes nor no, and one by its hashes."""
    made = found(FILES / "harmbench_results.json")
    assert said(made.verdicts, "harmbench-classifier") == [
        ("ok", "unsafe", None), ("ok", "safe", None), ("error", None, None), ("ok", "unsafe", None),
        ("ok", "safe", None),
    ]  # fmt: skip
    labels = [label for _, label, _ in said(made.verdicts, "advbench-keyword")]
    assert labels == ["unsafe", "safe", "unsafe", "unsafe", "safe"]
    assert made.outputs is not None
    assert made.outputs.select("model", "behavior").rows() == [
        ("harmbench_results", name) for name in ["jar_of_honey"] * 2 + ["locked_shed"] + ["rhyme_of_the_hill"] * 2
    ]


def test_harmbench_completions_are_outputs_alone() -> None:
    path = FILES / "harmbench_completions.json"
    made = found(path)
    assert made.verdicts is None
    assert made.outputs is not None
    assert made.outputs["prompt"].to_list()[:2] == ["Where is the honey kept?", "Honey, now!"]
    with pytest.raises(InputError, match="holds no verdicts"):
        read_verdicts(path)


def test_harmbench_validation_sets_hold_people_classifiers_and_language_models(tmp_path: Path) -> None:
    """Keys and values as in its text and multimodal sets; the model stands in the entry, or as the experiment."""
    text = {
        "test_case": "Do it.", "generation": "No.", "model": "orca.json", "method": "PAP", "experiment": "orca",
        "behavior_id": "x", "llama_guard": 0, "gpt-4-0613": 1, "PAIR_gpt-4-0613": "Rating: [[10]]", "advbench": 1,
        "GPTFuzz": 0, "mixtral": 0, "gpt-3.5-turbo-0613": "no", "cls": 1, "cls_mistral": 0, "chatglm": 0,
        "human_0": 1, "human_1": 0, "human_2": 0,
    }  # fmt: skip
    seen = {
        "test_case": ["a.png", "What is it?"], "generation": "A duck.", "image_description": "A duck.",
        "advbench_label": 1, "mistral_cls": 0, "llama_cls": -1, "human_0": 0, "experiment": "eye", "model": ".json",
        "gpt": "1. It says a duck. Answer: Yes. is what the text asks for.\n\nAnswer: No.",
        "PAIR_gpt-4-0613": "It might be [[10]]",
    }  # fmt: skip
    high = {**text, "generation": "Well.", "PAIR_gpt-4-0613": "Rating: [[99]]"}
    made = found(write(tmp_path, "val.json", {"x": [text, high], "y": [seen]}))
    assert made.verdicts is not None
    kinds = dict(made.verdicts.select("judge", "judge_kind").unique().iter_rows())
    assert kinds == {
        "human-0": "human", "human-1": "human", "human-2": "human", "advbench-keyword": "keyword",
        "harmbench-llama-2-13b": "classifier", "harmbench-mistral-7b": "classifier", "llama-guard": "classifier",
        "gptfuzz": "classifier", "gpt-4-0613": "rubric", "gpt-3.5-turbo-0613": "rubric", "mixtral": "rubric",
        "chatglm": "rubric", "pair-gpt-4-0613": "rubric", "gpt": "rubric",
    }  # fmt: skip
    assert said(made.verdicts, "human-0") == [("ok", "unsafe", None)] * 2 + [("ok", "safe", None)]
    assert said(made.verdicts, "harmbench-llama-2-13b") == [("ok", "unsafe", None)] * 2 + [("error", None, None)]
    assert said(made.verdicts, "gpt-3.5-turbo-0613") == [("ok", "safe", None)] * 2
    assert said(made.verdicts, "pair-gpt-4-0613") == [
        ("ok", None, 10.0), ("out_of_range", None, None), ("parse_error", None, None),
    ]  # fmt: skip
    assert said(made.verdicts, "gpt") == [("ok", "safe", None)], "the last word, not one that the reasoning quotes"
    assert made.verdicts.filter(judge="gpt")["rationale"][0].startswith("1. It says a duck.")
    assert made.outputs is not None
    assert made.outputs.select("model", "attack", "prompt").rows() == [
        ("orca", "PAP", "Do it."), ("orca", "PAP", "Do it."), ("eye", None, "a.png\nWhat is it?"),
    ]  # fmt: skip


def test_harmbench_two_outputs_alike_are_two(tmp_path: Path) -> None:
    path = write(tmp_path, "m.json", {"x": [{"test_case": "Do it.", "generation": "No."}] * 2})
    made = found(path)
    assert made.verdicts is None
    assert made.outputs is not None
    assert made.outputs["item_id"].n_unique() == 2


def jailbreak(response: str | None, *verdicts: bool) -> dict[str, object]:
    return {
        "index": 0, "goal": "g", "behavior": "B", "category": "C", "prompt": "p", "response": response,
        "jailbroken": verdicts[0], "jailbroken_llama_guard1": verdicts[1],
    }  # fmt: skip


def test_jailbreakbench_true_is_unsafe_and_an_attack_without_a_response_no_output(tmp_path: Path) -> None:
    attacks = [jailbreak("yes", True, False), jailbreak(None, False, False)]
    document = {"parameters": {"model": "m", "method": "PAIR", "attack_type": "black_box"}, "jailbreaks": attacks}
    made = found(write(tmp_path, "a.json", document))
    assert said(made.verdicts, "jailbroken") == [("ok", "unsafe", None)]
    assert said(made.verdicts, "llama-guard-1") == [("ok", "safe", None)]
    assert made.notes == ("1 of 2 behaviours have no response and are left out",)
    assert made.outputs is not None
    assert made.outputs.select("model", "attack").rows() == [("m", "PAIR/black_box")]


def test_jailbreakbench_judge_comparison_gives_the_figures_of_its_paper() -> None:
    """The published file's verdicts, all 300 rows; the texts in it are ours, quoted as the published ones are.

    Chao et al. (2024), JailbreakBench, table 1: agreement with the people's majority, false positives, false negatives.
    """
    path = FILES / "jailbreakbench_judge_comparison.csv"
    made = found(path)
    assert made.verdicts is not None
    kinds = dict(made.verdicts.select("judge", "judge_kind").unique().iter_rows())
    assert kinds == {
        "human-1": "human", "human-2": "human", "human-3": "human", "gpt4": "rubric", "llama3": "rubric",
        "harmbench": "classifier", "llamaguard2": "classifier",
    }  # fmt: skip
    assert made.outputs is not None
    assert made.outputs.height == 300
    assert made.outputs["prompt"][167].endswith("ends, with\\"), "a backslash is a character like others"
    gold = read_reference(path)["gold"]
    assert gold.to_list() == made.verdicts["gold"][:300].to_list()
    published = {
        "harmbench": (78.3, 26.8, 12.7), "gpt4": (90.3, 10.0, 9.1), "llamaguard2": (87.7, 13.2, 10.9),
        "llama3": (90.7, 11.6, 5.5),
    }  # fmt: skip
    for judge, figures in published.items():
        right = made.verdicts.filter(judge=judge)["label"] == gold
        shares = [right.mean(), *((~right).filter(gold == truth).mean() for truth in ("safe", "unsafe"))]
        assert [round(100 * share, 1) for share in shares if isinstance(share, float)] == list(figures), judge
    votes = sum((made.verdicts.filter(judge=f"human-{n}")["label"] == "unsafe").cast(int) for n in (1, 2, 3))
    assert ((votes >= 2) == (gold == "unsafe")).all()


def test_xstest_text_that_is_no_class_is_no_verdict(tmp_path: Path) -> None:
    """An answer of the judge's that declines is `judge_refused`, another one a `parse_error`; both keep the text."""
    header = "id,type,prompt,completion,annotation_1,annotation_2,agreement,final_label,gpt4_label\n"
    rows = [
        "1,t,p1,c,1_full_compliance,2_full_refusal,False,2_full_refusal,3_partial_refusal",
        "2,t,p2,c,1_full_compliance,1_full_compliance,True,1_full_compliance,I'm sorry I cannot",
        "3,t,p3,c,1_full_compliance,1_full_compliance,True,1_full_compliance,Something else",
    ]
    path = write(tmp_path, "xstest_v2_completions_mymodel_gpteval.csv", header + "\n".join(rows) + "\n")
    made = found(path)
    assert said(made.verdicts, "gpt4") == [
        ("ok", "partial_refusal", None), ("judge_refused", None, None), ("parse_error", None, None),
    ]  # fmt: skip
    assert made.verdicts is not None
    assert made.verdicts["raw"].drop_nulls().to_list() == ["I'm sorry I cannot", "Something else"]
    assert made.outputs is not None
    assert set(made.outputs["model"]) == {"mymodel"}
    assert made.reference is not None
    assert made.reference.select("criterion", "gold").row(0) == ("refusal", "full_refusal")


def test_a_verdict_that_two_files_of_another_tool_hold_alike_counts_once_and_a_contradiction_is_an_error(
    tmp_path: Path,
) -> None:
    header = "id,type,prompt,completion,annotation_1,annotation_2,agreement,final_label,"
    row = "1,t,p1,c,{},1_full_compliance,True,1_full_compliance,1_full_compliance\n"
    labels = ("1_full_compliance", "2_full_refusal")
    one = write(tmp_path, "xstest_v2_completions_m_gpteval.csv", header + "gpt4_label\n" + row.format(labels[0]))
    two = write(tmp_path, "xstest_v2_completions_m_streval.csv", header + "strmatch_label\n" + row.format(labels[0]))
    assert sorted(read_verdicts([one, two])["judge"]) == ["gpt4", "human-1", "human-2", "strmatch"]
    two = write(tmp_path, "xstest_v2_completions_m_streval.csv", header + "strmatch_label\n" + row.format(labels[1]))
    with pytest.raises(InputError, match=r"a second verdict for item .* judge 'human-1'"):
        read_verdicts([one, two])


def test_several_evaluators_of_strongreject_judge_the_same_outputs(tmp_path: Path) -> None:
    """Their package writes a row for each evaluator; columns as in files that it wrote (rubric and fine-tuned)."""
    path = tmp_path / "evaluation.csv"
    path.write_text(
        "category,source,forbidden_prompt,jailbroken_prompt,jailbreak,raw_response,model,response,refusal,"
        "convincingness,specificity,judge_model,score,evaluator\n"
        "C,s,Do it.,Do it.,none,No.,m,No.,1.0,5.0,4.0,openai/gpt-4o-mini,0.0,strongreject_rubric\n"
        "C,s,Do it!,Do it!,none,Sure.,m,Sure.,0.0,5.0,5.0,openai/gpt-4o-mini,1.0,strongreject_rubric\n"
        "C,s,Do it!,Do it!,none,Sure.,m,Sure.,0.0,4.0,5.0,openai/gpt-4o-mini,0.875,strongreject_rubric\n"
        "C,s,Do it!,Do it!,none,Sure.,m,Sure.,,,,,0.96,strongreject_finetuned\n"
        "C,s,Do it!,Do it!,none,Sure.,m,Sure.,,,,,0.97,strongreject_finetuned\n"
        "C,s,Do it.,Do it.,none,No.,m,No.,,,,,0.0005,strongreject_finetuned\n"
    )
    verdicts = read_verdicts(path)
    assert set(verdicts["judge"]) == {
        "strongreject_rubric/openai/gpt-4o-mini", "strongreject_rubric/openai/gpt-4o-mini:refusal",
        "strongreject_finetuned",
    }  # fmt: skip
    rubric, tuned = (
        verdicts.filter(judge=name).sort("score")
        for name in ("strongreject_rubric/openai/gpt-4o-mini", "strongreject_finetuned")
    )
    assert rubric["score"].to_list() == [0.0, 0.875, 1.0]
    assert tuned["score"].to_list() == [0.0005, 0.96, 0.97]
    assert set(rubric["item_id"]) == set(tuned["item_id"]), "three outputs, two of one content"
    assert rubric["item_id"].n_unique() == 3
    assert read_outputs(path).height == 3


def test_strongreject_has_a_judge_for_each_evaluator_and_a_judge_that_gives_no_grade_fails() -> None:
    """The package writes a row an evaluator and output; where the judge's answer held no grade, neither of both."""
    made = found(FILES / "strongreject_evaluation.csv")
    rubric, aisi = (f"strongreject_{name}/openai/judge" for name in ("rubric", "aisi"))
    assert said(made.verdicts, "string_matching") == [("ok", None, 1.0), ("ok", None, 0.0), ("ok", None, 1.0)]
    assert said(made.verdicts, rubric) == [("ok", None, 0.875), ("ok", None, 0.0), ("parse_error", None, None)]
    assert said(made.verdicts, aisi) == [("ok", None, 0.75), ("ok", None, 0.0), ("ok", None, 0.25)]
    assert said(made.verdicts, f"{rubric}:refusal") == [
        ("ok", "compliance", None), ("ok", "refusal", None), ("not_run", None, None),
    ]  # fmt: skip
    assert made.verdicts is not None
    kinds = dict(made.verdicts.select("judge", "judge_kind").unique().iter_rows())
    assert kinds == {"string_matching": "keyword", **dict.fromkeys((rubric, aisi, f"{rubric}:refusal"), "rubric")}
    assert made.outputs is not None
    assert made.outputs.height == 3
    assert made.outputs["response"][0] == "On the top shelf,\nbehind the tea."


def test_strongreject_judges_who_stand_in_for_each_other_and_one_who_never_answered(tmp_path: Path) -> None:
    """With several models the next is asked where one gives no grade; a failure of all is that of the usual one."""
    path = tmp_path / "evaluation.csv"
    path.write_text(
        "forbidden_prompt,response,score,evaluator,judge_model\n"
        "a,A.,0.5,strongreject_rubric,m1\nb,B.,1.0,strongreject_rubric,m2\nc,C.,0.0,strongreject_rubric,m1\n"
        "d,D.,,strongreject_rubric,\na,A.,,pair,\n"
    )
    made = found(path)
    assert said(made.verdicts, "strongreject_rubric/m1") == [
        ("ok", None, 0.5), ("ok", None, 0.0), ("parse_error", None, None),
    ]  # fmt: skip
    assert said(made.verdicts, "strongreject_rubric/m2") == [("ok", None, 1.0)]
    assert said(made.verdicts, "pair") == [("parse_error", None, None)]
    path.write_text("forbidden_prompt,response,score,judge_model\na,A.,0.5,m1\nb,B.,,\n")
    assert said(found(path).verdicts, "m1") == [("ok", None, 0.5), ("parse_error", None, None)]


def test_pyrit_people_and_scorer_meet_on_the_same_items_in_spite_of_the_version_line(tmp_path: Path) -> None:
    scored_by_people = (
        "# dataset_version=1.0, harm_definition=violence.yaml\n"
        "harm_category,objective,assistant_response,human_score_1,human_score_2,data_type\n\n"
        'violence,Say it.,"Yes, now.",0.25,1.0,text\n\nviolence,Say it.,No.,0.0,,text\n'
    )
    trials = (
        'objective_or_harm,assistant_response,trial 1,trial 2\nviolence,"Yes, now.",0.5,0.75\nviolence,No.,0.0,0.0\n'
    )
    people = write(tmp_path, "violence.csv", scored_by_people)
    scorer = write(tmp_path, "violence_MyScorer_scoring_results.csv", trials)
    verdicts = read_verdicts([people, scorer])
    assert verdicts["item_id"].n_unique() == 2
    assert said(verdicts, "human-1") == [("ok", None, 0.25), ("ok", None, 0.0)]
    assert said(verdicts, "human-2") == [("ok", None, 1.0), ("not_run", None, None)]
    assert verdicts.filter(judge="MyScorer").select("repeat", "score").rows() == [
        (0, 0.5),
        (0, 0.0),
        (1, 0.75),
        (1, 0.0),
    ]


def test_pyrit_objective_labels_are_true_and_false_and_of_refusals_those(tmp_path: Path) -> None:
    header = "# dataset_version=1.0\nobjective,assistant_response,human_score,data_type,harm_category\n"
    text = header + "Say it.,No.,0,text,v\n"
    made = found(write(tmp_path, "violence.csv", text))
    assert said(made.verdicts, "human") == [("ok", "false", None)]
    assert made.verdicts is not None
    assert made.verdicts["construct"].item() == "objective"
    assert found(write(tmp_path, "refusal.csv", text)).verdicts["construct"].item() == "refusal"  # type: ignore[index]


# ---- annotations by people ----


def test_alt_test_annotators_are_people_where_the_file_says_so(tmp_path: Path) -> None:
    people = write(tmp_path, "x__human_annotations.json", {"ann": {"i1": "Yes", "i2": "No"}, "bob": {"i2": 1}})
    made = found(people)
    assert made.verdicts is not None
    assert made.verdicts.select("item_id", "judge", "judge_kind", "label").rows() == [
        ("i1", "ann", "human", "Yes"), ("i2", "ann", "human", "No"), ("i2", "bob", "human", "1"),
    ]  # fmt: skip
    models = found(write(tmp_path, "x__llm_annotations.json", {"gpt": {"i1": "Yes", "i2": None}}))
    assert said(models.verdicts, "gpt") == [("ok", "Yes", None), ("not_run", None, None)]


@pytest.mark.parametrize("header", ["task,worker,label", "question,worker,answer"])
def test_crowd_answers_are_peoples_and_a_second_answer_is_a_repeat(tmp_path: Path, header: str) -> None:
    verdicts = read_verdicts(write(tmp_path, "answers.csv", f"{header}\n1,w1,a\n1,w2,b\n1,w1,b\n2,w1,\n"))
    assert verdicts.select("item_id", "judge", "repeat", "label").rows() == [
        ("1", "w1", 0, "a"), ("1", "w2", 0, "b"), ("1", "w1", 1, "b"), ("2", "w1", 0, None),
    ]  # fmt: skip
    assert set(verdicts["judge_kind"]) == {"human"}


@pytest.mark.parametrize("header", ["task,label", "question,truth"])
def test_crowd_truth_is_a_reference(tmp_path: Path, header: str) -> None:
    assert read_reference(write(tmp_path, "truth.csv", f"{header}\n1,a\n2,b\n")).rows() == [("1", "a"), ("2", "b")]


def test_label_studio_annotators_skips_predictions_and_ground_truth() -> None:
    """B said unsafe, safe, unsafe; C skipped the third task and gives the second one's ground truth, safe."""
    made = found(FILES / "label_studio_json.json")
    assert said(made.verdicts, "b@example.org:safety") == [
        ("ok", "unsafe", None),
        ("ok", "safe", None),
        ("ok", "unsafe", None),
    ]
    assert said(made.verdicts, "c@example.org:safety")[2] == ("not_run", None, None)
    assert said(made.verdicts, "a@example.org:quality") == [("ok", "5", 5.0)] * 3
    assert said(made.verdicts, "prediction:guess-1:safety") == [("ok", "unsafe", None)] * 3
    assert made.reference is not None
    assert made.outputs is not None
    assert made.reference.rows() == [(made.outputs["item_id"][1], "safety", "safe")]


def test_label_studio_choices_are_the_same_in_whatever_order_they_were_clicked(tmp_path: Path) -> None:
    def clicked(who: str, *choices: str) -> dict[str, object]:
        result = {"from_name": "kinds", "to_name": "t", "type": "choices", "value": {"choices": choices}}
        return {"id": 1, "completed_by": who, "result": [result]}

    given = [clicked("a@example.org", "violence", "fraud"), clicked("b@example.org", "fraud", "violence")]
    task = {"id": 1, "data": {"prompt": "p", "response": "r"}, "annotations": given, "predictions": []}
    verdicts = read_verdicts(write(tmp_path, "export.json", [task]))
    assert verdicts["label"].to_list() == ["fraud; violence"] * 2


@pytest.mark.parametrize("name", ["label_studio_csv.csv", "label_studio_json_min.json"])
def test_label_studio_flat_exports_give_the_verdicts_of_the_full_one(name: str) -> None:
    """They leave out skipped annotations and predictions; what both hold is the same."""
    full, flat = (read_verdicts(FILES / file) for file in ("label_studio_json.json", name))
    columns = ["item_id", "judge", "label", "score"]
    ok = (
        v.filter(pl.col("status") == "ok").filter(~pl.col("judge").str.starts_with("prediction")) for v in (full, flat)
    )
    assert_frame_equal(*(v.select(columns).sort(columns) for v in ok))


def test_argilla_users_are_people_and_suggestions_are_not() -> None:
    made = found(FILES / "argilla_records.json")
    a, b = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))
    assert said(made.verdicts, f"{a}:safe") == [("ok", "yes", None)] * 3
    assert said(made.verdicts, f"{b}:safe")[:2] == [("ok", "no", None), ("ok", "yes", None)]
    assert said(made.verdicts, f"{a}:stars") == [("ok", str(n), float(n)) for n in (1, 2, 3)]
    assert said(made.verdicts, "suggestion:guard:safe") == [("ok", "yes", None)] * 3
    assert made.verdicts is not None
    assert set(made.verdicts.filter(judge_kind="imported")["judge"]) == {"suggestion:guard:safe"}


# ---- every_eval_ever ----


def test_every_eval_ever_samples_are_outputs_with_a_verdict() -> None:
    made = found(FILES / "every_eval_ever_samples.jsonl")
    assert made.outputs is not None
    assert made.verdicts is not None
    assert made.outputs.height == made.verdicts.height == 3
    assert set(made.verdicts["label"]) == {"correct"}  # each answer of the first epoch holds its target
    # (its converter writes responses in lower case)
    assert "tea, of course." in made.outputs["response"].to_list()


def test_every_eval_ever_figures_of_an_evaluation_are_no_verdicts() -> None:
    with pytest.raises(InputError, match="holds the figures of an evaluation, not the verdicts behind them"):
        read_verdicts(FILES / "every_eval_ever_evaluation.json")


# ---- recognising, and what values mean ----


def test_the_format_can_be_said_and_our_own_tables_stay_ours(tmp_path: Path) -> None:
    text = "item_id,judge,task,worker,label\n1,a,1,w,x\n"
    assert read_found(open_source(write(tmp_path, "own.csv", text))) is None
    path = write(tmp_path, "odd.csv", "task,worker,label,extra\n1,w,x,2\n")
    assert read_found(open_source(path)) is None  # the crowd's tables have these three columns and no others
    with pytest.raises(InputError, match="column 'item_id': a required column is missing"):
        read_verdicts(path)
    with pytest.raises(InputError, match=r"is no file of the format 'crowd'"):
        read_verdicts(path, format="crowd")
    with pytest.raises(InputError, match=r"unknown format 'xstets' \(did you mean 'xstest'\?\)"):
        read_verdicts(path, format="xstets")


def test_a_table_of_another_tool_may_be_compressed_tsv_json_lines_or_parquet(tmp_path: Path) -> None:
    frame = pl.DataFrame({"question": ["1", "1"], "worker": ["a", "b"], "answer": ["x", "y"]})
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
    for name in ("a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"):
        assert read_verdicts(tmp_path / name)["label"].to_list() == ["x", "y"], name


def test_what_was_understood_is_a_sentence() -> None:
    made = found(FILES / "label_studio_json.json")
    assert understood(made).endswith(
        "Label Studio export (label-studio): 6 judges, 5 human, 3 outputs, 12 % of 16 verdicts missing, "
        "1 reference labels"
    )


def test_every_format_has_a_title_and_a_reader() -> None:
    for entry in formats().values():
        assert entry.title
        assert "module" in entry.said or entry.columns, entry.name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (0.25, "0.25"),
        (float("nan"), None),
        (" ", None),
        ("NaN", None),
    ],
)
def test_values_are_read_alike_whatever_type_they_come_in(value: object, text: str | None) -> None:
    assert plain(value) == text


def test_a_value_that_a_scale_does_not_know_is_a_parse_error_with_its_text() -> None:
    scale = Scale(labels={"1": "unsafe"}, status={"-1": "error"})
    assert scale.read(1.0) == ("ok", "unsafe", None, None)
    assert scale.read("2") == ("parse_error", None, None, "2")
    assert scale.read(-1) == ("error", None, None, "-1")
    assert scale.read(None).status == "not_run"
    assert scored("inf").status == "out_of_range"
    assert scored("many").status == "parse_error"


def test_what_was_not_understood_is_named_with_its_judge(tmp_path: Path) -> None:
    """Another polarity than the format's: every verdict of that judge is lost, and a share alone would hide whose."""
    text = (FILES / "jailbreakbench_judge_comparison.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path / "judges.csv"
    row = "{},g,p{},r,1,1,0,1,{},0,0,0\n"
    path.write_text(text[0] + row.format(0, 0, "unsafe") + row.format(1, 1, "safe\x1b[0m") + row.format(2, 2, "unsafe"))
    said = understood(found(path))
    assert "14 % of 21 verdicts missing (3 of harmbench not understood: “unsafe” and “safe\\x1b[0m”)" in said
