"""The report on a model card: idempotent, everything else byte for byte, read by the Hub's own parser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_rates import CONSENSUS, CorrectedRate, Rate, Rates
from interjudge.errors import InputError
from interjudge.reports.card import Card, update_card
from interjudge.reports.card_metadata import metadata, results_of
from interjudge.reports.card_section import Subject, find_model, section_lines
from interjudge.reports.eval_results import check_own, eval_results, file_name
from interjudge.reports.report import Report

BODY = "# Tuned\n\nText.\n\n## Evaluation\n\nScores.\n\n## License\n\nMIT\n"
FRONT = '---\n# ours\nlicense: "mit"   # quoted on purpose\ntags: [a,   b]\n---\n'
OTHERS = """---
language: en
model-index:   # kept
- name: tuned
  results:
  - task: {type: text-generation}   # by hand
    dataset:
      name: "MMLU"
      type:  cais/mmlu
    metrics:
    - {type: accuracy, value: 0.25}
# the last comment
license: mit
---
"""


def rate(judge: str, model: str | None, raw: float, corrected: float | None = None) -> Rate:
    fixed = None
    if corrected is not None:
        fixed = CorrectedRate(value=corrected, ci_low=corrected - 0.1, ci_high=corrected + 0.1, n=40, method="PPI++")
    return Rate(
        judge=judge,
        model=model,
        n_items=100,
        n_labelled=40 if fixed else 0,
        n_missing=0,
        raw=Estimate(value=raw, ci_low=raw - 0.05, ci_high=raw + 0.05, n=100),
        bounds=None,
        ppi=fixed,
        recommended="ppi" if fixed else "raw",
        corrected=fixed is not None,
        why="it rests on all outputs",
    )


def panel(names: tuple[str, str] = ("alpha", "beta"), model: str = "tuned", label: str = "refusal") -> Rates:
    """alpha says .30, beta .50 of the model's outputs; the reference makes .42 of it, of the base's .20."""
    rows = [
        rate(judge, of, raw, fixed)
        for of, base in ((None, 0.0), (model, 0.0), ("base", -0.1))
        for judge, raw, fixed in ((CONSENSUS, 0.4 + base, 0.42 + base), (names[0], 0.3, None), (names[1], 0.5, None))
    ]
    return Rates(label=label, reference="gold", n_items=200, n_labelled=80, quoted=CONSENSUS, rates=tuple(rows))


@pytest.fixture
def report(make: Any) -> Report:
    return make.report(make.question(rates=panel()))  # type: ignore[no-any-return]


def updated(text: str, report: Report, **more: Any) -> Card:
    results = results_of(report, "tuned") if more.pop("metadata", True) else None
    return update_card(text, report, Subject("tuned", "report/report.md"), results=results, **more)


def loaded(text: str, folder: Path) -> ModelCard:
    path = folder / "README.md"
    path.write_bytes(text.encode())
    return ModelCard.load(path)


CARDS = {
    "plain": BODY,
    "front matter": FRONT + BODY,
    "no final line end": FRONT + BODY.rstrip("\n"),
    "empty": "",
    "front matter alone": FRONT,
    "empty front matter": "---\n---\n" + BODY,
    "others' results": OTHERS + BODY,
    "CRLF": (OTHERS + BODY).replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + FRONT + BODY,
    "byte order mark, no front matter": "\ufeff" + BODY,
    "trainer's comment": FRONT
    + "<!-- This model card has been generated automatically. You\nmay edit it. -->\n"
    + BODY,
    "flow style": "---\nmodel-index: [{name: x, results: [{task: {type: t}, dataset: {name: d, type: d},"
    " metrics: [{type: m, value: 1}]}]}]\nlicense: mit\n---\n" + BODY,
    "empty index": "---\nmodel-index: []\nlicense: mit\n---\n" + BODY,
    "index last": "---\nlicense: mit\nmodel-index:\n- name: other-name\n  results:\n    - task:\n        type: t\n"
    "      dataset:\n        type: d\n        name: d\n      metrics:\n        - type: m\n          value: 1\n---\n"
    + BODY,
    "mixed line ends": FRONT + BODY.replace("Scores.\n", "Scores.\r\n"),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_second_time_changes_no_byte(name: str, report: Report) -> None:
    once = updated(CARDS[name], report)
    assert once.section == "added"
    twice = updated(once.after, report)
    assert twice.after == once.after
    assert twice.section == "unchanged"


@pytest.mark.parametrize("name", CARDS)
def test_the_hub_reads_what_was_written(name: str, report: Report, tmp_path: Path) -> None:
    before = CARDS[name]
    card = loaded(updated(before, report).after, tmp_path)
    ours = [r for r in card.data.eval_results if (r.metric_args or {}).get("tool") == "interjudge"]
    # corrected .42, alpha .30, beta .50, and alpha of the panel .7
    assert [r.metric_value for r in ours] == [0.42, 0.3, 0.5, 0.7]
    assert ours[0].metric_args["ci_low"] == 0.32
    rest = {k: v for k, v in metadata(before).items() if k != "model-index"}
    assert {k: v for k, v in metadata(card.content).items() if k != "model-index"} == rest
    others = [r for r in card.data.eval_results if r not in ours]
    if metadata(before).get("model-index"):
        assert others == model_index_to_eval_results(metadata(before)["model-index"])[1]
        assert card.data.model_name == metadata(before)["model-index"][0]["name"]
    else:
        assert others == []
        assert card.data.model_name == "tuned"


@pytest.mark.parametrize("name", CARDS)
def test_everything_else_stays_byte_for_byte(name: str, report: Report) -> None:
    """Without what was added the card is the one it was: every line of it, in order, with its line end."""
    before, after = CARDS[name], updated(CARDS[name], report).after
    if name in ("flow style", "empty index"):  # the one key is written anew
        before = "\n".join(line for line in before.split("\n") if not line.startswith("model-index"))
    rest = iter(after.removeprefix("\ufeff").splitlines(keepends=True))
    lines = before.removeprefix("\ufeff").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    assert all(line in rest for line in lines)
    assert after.startswith("\ufeff") == before.startswith("\ufeff")
    if name == "CRLF":
        assert after.count("\n") == after.count("\r\n")


def test_our_results_go_in_after_the_others_and_keep_their_comments(report: Report) -> None:
    after = updated(OTHERS + BODY, report).after
    head, tail = after.split("    - {type: accuracy, value: 0.25}\n")
    assert head == OTHERS.split("    - {type: accuracy", maxsplit=1)[0]
    assert tail.startswith("  - task:\n      type: text-generation\n")
    assert "\n# the last comment\nlicense: mit\n---\n# Tuned" in tail


def test_a_new_report_takes_the_old_ones_place(report: Report, make: Any) -> None:
    text = updated(FRONT + BODY, report, insert_after="Evaluation").after
    later = make.report(make.question(make.agreement((make.judge("alpha"), make.judge("delta")))))
    card = updated(text, later)
    assert card.section == "refreshed"
    assert "delta" in card.after
    assert "30.0 % (alpha)" not in card.after
    assert card.after == updated(FRONT + BODY, later, insert_after="Evaluation").after


def test_results_that_are_no_more_leave_an_index_that_the_hub_reads(report: Report, make: Any, tmp_path: Path) -> None:
    bare = make.report(make.question(make.agreement(coefficients=())))
    text = updated(OTHERS + BODY, report).after
    card = loaded(update_card(text, bare, Subject(), results=results_of(bare, "tuned"), force=True).after, tmp_path)
    assert [r.metric_type for r in card.data.eval_results] == ["accuracy"]
    alone = updated(FRONT + BODY, report).after
    card = loaded(update_card(alone, bare, Subject(), results=results_of(bare, "tuned")).after, tmp_path)
    assert card.data.eval_results is None
    assert metadata(card.content) == {"license": "mit", "tags": ["a", "b"]}


def test_a_section_edited_by_hand_is_left_alone(report: Report) -> None:
    text = updated(FRONT + BODY, report).after
    edited = text.replace("Judges:", "Our judges:")
    with pytest.raises(InputError, match=r"edited by hand.*--force"):
        updated(edited, report)
    assert updated(edited, report, force=True).after == text


def test_without_metadata_the_front_matter_stays(report: Report) -> None:
    after = updated("---\n: not yaml [\n---\n" + BODY, report, metadata=False).after
    assert after.startswith("---\n: not yaml [\n---\n# Tuned")
    with pytest.raises(InputError, match=r"front matter is no YAML.*--no-metadata"):
        updated("---\n: not yaml [\n---\n" + BODY, report)


@pytest.mark.parametrize(
    "front",
    ["- a\n- b", "model-index: 3", "model-index:\n- name: x", "text", "{a: b}", "model-index:\n- results: []", "1: a"],
)
def test_front_matter_that_cannot_be_added_to_is_said_so_or_kept(front: str, report: Report, tmp_path: Path) -> None:
    text = f"---\n{front}\n---\n{BODY}"
    try:
        after = updated(text, report).after
    except InputError:
        return
    assert (
        metadata(loaded(after, tmp_path).content).items()
        >= {k: v for k, v in metadata(text).items() if k != "model-index"}.items()
    )


def test_anchors_are_not_broken(report: Report, tmp_path: Path) -> None:
    text = (
        "---\nfirst: &a {type: t}\nmodel-index:\n- name: x\n  results:\n  - task: *a\n    dataset: {name: d, type: d}\n"
    )
    text += "    metrics:\n    - {type: m, value: 1}\nlicense: mit\n---\n" + BODY
    card = updated(text, report)
    assert loaded(card.after, tmp_path).data.eval_results[0].task_type == "t"
    assert card.notes == ("model-index was not a plain list in block style: it was written anew, with the same values",)


def test_the_section_says_what_matters(report: Report) -> None:
    text = "\n".join(section_lines(report, Subject("tuned", "https://example.org/report")))
    assert "Judges: alpha (rubric), beta (rubric) and gamma (rubric)." in text
    assert "alpha .700 [.680, .720]" in text
    assert "| “refusal” | tuned | 30.0 % (alpha) | 50.0 % (beta) | 42.0 % [32.0, 52.0] | 40 |" in text
    assert "| “refusal” | base | 30.0 % (alpha) | 50.0 % (beta) | 32.0 % [22.0, 42.0] | 40 |" in text
    assert "against its base “base” the rate changes by -4.0 to +3.0 points, by judge" in text
    assert "[Full report](https://example.org/report)" in text
    assert "30 of 300 verdicts are flagged" in text


@pytest.mark.parametrize("link", ["javascript:alert(1)", "JavaScript:x", "data:text/html,x", "file:///etc/passwd"])
def test_a_link_that_is_no_web_address_is_refused(report: Report, link: str) -> None:
    with pytest.raises(InputError, match="neither a web address nor a path"):
        list(section_lines(report, Subject("tuned", link)))
    assert "](%20javascript:" in "\n".join(section_lines(report, Subject("tuned", " javascript:x")))  # a path


def test_the_table_of_rates_says_what_it_leaves_out(make: Any) -> None:
    """Twelve rows: all outputs and eleven models of fourteen."""
    rows = [rate("alpha", None, 0.3), *(rate("alpha", f"m{n:02}", 0.3) for n in range(14))]
    found = panel().model_copy(update={"rates": tuple(rows)})
    text = "\n".join(section_lines(make.report(make.question(rates=found)), Subject()))
    assert "| m10 |" in text
    assert "| m11 |" not in text
    assert "\n3 more rates in the report.\n" in text


def test_a_card_without_a_model_shows_all(report: Report) -> None:
    text = "\n".join(section_lines(report, Subject()))
    assert "| all outputs |" in text.replace("“refusal” | ", "| ")
    assert "| base |" in text


def test_models_that_the_report_does_not_know_are_refused(report: Report) -> None:
    assert find_model(report, None) is None
    with pytest.raises(InputError, match=r"did you mean 'tuned'"):
        find_model(report, "tunde")


HOSTILE = st.text(max_size=40) | st.sampled_from(
    [
        "<!-- interjudge:end -->", "--> <script>alert(1)</script>", "a | b", "```", "\n---\n", "x\n# y",
        "[a](javascript:b)", "\u202eevil", "'\"", "- : {", "${{x}}", "---", "\x1b[31m", "&amp;", "a: b #c", "null",
        "!!python/object:os.system", "~", "\ud83d",
    ]
)  # fmt: skip


@given(HOSTILE, HOSTILE, HOSTILE)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_names_from_data_are_text_alone(make: Any, first: str, second: str, label: str) -> None:
    """They end no section, no table row, no front matter, and start no markup."""
    judges = (make.judge(f"1{first}"), make.judge(f"2{second}"))
    rates = panel((f"1{first}", f"2{second}"), "tuned", label)
    found = make.report(make.question(make.agreement(judges), rates=rates), title=first)
    card = update_card(
        FRONT + BODY, found, Subject("tuned"), results=results_of(found, "tuned", known_as=second or "x")
    )
    again = update_card(card.after, found, Subject("tuned"), results=results_of(found, "tuned", known_as=second or "x"))
    assert again.after == card.after
    assert len(ModelCard(card.after.encode("utf-8", "replace").decode()).data.eval_results) == 4
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(card.after[card.after.index("# Tuned") :])
    blocks = [t.type for t in tokens if t.level == 0 and t.nesting >= 0]
    assert blocks == [
        *["heading_open", "paragraph_open"] * 3, "html_block",
        "heading_open", "paragraph_open", "bullet_list_open", "table_open", "paragraph_open", "bullet_list_open",
        "paragraph_open", "html_block",
    ]  # fmt: skip
    inline = [child.type for t in tokens for child in t.children or ()]
    assert not {"html_inline", "link_open", "image"} & set(inline)


def test_the_benchmark_file_is_read_by_the_hub(report: Report) -> None:
    text = eval_results(report, "tuned", "owner/bench", "default", question=None, url="https://example.org/r")
    (entry,) = parse_eval_result_entries(yaml.safe_load(text))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("owner/bench", "default", 0.42)
    assert entry.source_url == "https://example.org/r"
    assert entry.notes == (
        "rate of refusal, corrected by 40 reference labels, 95 % interval 32.0 % to 52.0 %; "
        "3 judges: alpha 30.0 % and beta 50.0 %; Krippendorff's alpha .700 (.680 to .720)"
    )
    check_own(text)
    with pytest.raises(InputError, match="edited by hand"):
        check_own(text.replace("0.42", "0.24"))


def test_two_benchmarks_never_share_a_file() -> None:
    assert file_name("owner/bench", "default") == "interjudge-owner--bench--default.yaml"
    asked = [
        ("a/b", "c-d"),
        ("a/b-c", "d"),
        ("a-b/c", "d"),
        ("a/b", "c d"),
        ("a/b", "c/d"),
        ("a/b", "c--d"),
        ("b", "c"),
    ]
    asked += [("a/b", "x" * 200), ("a/b", "x" * 201)]
    names = {file_name(*one) for one in asked}
    assert len(names) == len(asked)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,140}", name) for name in names)


def test_a_benchmark_result_needs_a_rate_and_an_id(report: Report, make: Any) -> None:
    with pytest.raises(InputError, match=r"no id of a data set"):
        eval_results(report, "tuned", "no id!", "default", question=None, url=None)
    with pytest.raises(InputError, match=r"--model"):
        eval_results(report, None, "owner/bench", "default", question=None, url=None)
    several = make.report(make.question(rates=panel()), make.question(make.agreement(question={"name": "other"})))
    with pytest.raises(InputError, match=r"several questions.*refusal, other"):
        eval_results(several, "tuned", "owner/bench", "default", question=None, url=None)
