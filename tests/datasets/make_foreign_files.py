"""Writes the files in `foreign/`, each with the software whose format it is; our own texts are in them.

    python make_foreign_files.py inspect       # where inspect_ai is installed
    python make_foreign_files.py lm-eval       # ... lm_eval (its dummy model)
    python make_foreign_files.py label-studio  # ... label-studio-sdk
    python make_foreign_files.py argilla       # ... argilla
    python make_foreign_files.py every-eval-ever  # ... every_eval_ever (Python 3.12) and inspect_ai

Each wants an environment of its own; none is a dependency of the tests, which read what is kept here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "foreign"

SAMPLES = (
    ("tea", "Name a hot drink.", "tea", "drinks", ("Tea, of course.", "I like milk.")),
    (2, "Name a cold drink.", "water", "drinks", ("Water is fine.", "Sorry, I cannot say.")),
    ("bird", "Name a bird that cannot fly.", "penguin", "animals", ("A penguin.", "broken reply")),
)


def inspect() -> None:
    """Three samples, two epochs, three scorers: text match, a score that may be NaN, and one of two values."""
    from inspect_ai import Task
    from inspect_ai import eval as run
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import Score, includes, mean, scorer

    @scorer(metrics=[mean()])
    def brevity():  # type: ignore[no-untyped-def]
        async def score(state, target):  # type: ignore[no-untyped-def]  # noqa: ARG001
            words = state.output.completion.split()
            if "broken" in words:
                return Score.unscored(reason="grader_failed", explanation="no grade in the reply")
            return Score(value=1 / len(words), explanation=f"{len(words)} words")

        return score

    @scorer(metrics={"polite": [mean()], "length": [mean()]})
    def manners():  # type: ignore[no-untyped-def]
        async def score(state, target):  # type: ignore[no-untyped-def]  # noqa: ARG001
            text = state.output.completion
            return Score(value={"polite": "Sorry" in text, "length": len(text)})

        return score

    def answer(text: str) -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", text)
        output.usage = ModelUsage(input_tokens=5, output_tokens=5, total_tokens=10)
        return output

    dataset = [Sample(id=i, input=q, target=t, metadata={"category": c}) for i, q, t, c, _ in SAMPLES]
    for kind in ("eval", "json"):
        answers = [answer(texts[epoch]) for epoch in (0, 1) for *_, texts in SAMPLES]  # the order it asks in
        outputs = iter(answers)
        model = get_model("mockllm/model", custom_outputs=lambda *_: next(outputs), memoize=False)  # noqa: B023
        task = Task(dataset=dataset, scorer=[includes(), brevity(), manners()], epochs=2, name="small_talk")
        with tempfile.TemporaryDirectory() as folder:
            run(
                task, model=model, log_format=kind, log_dir=folder, display="none", max_samples=1, log_realtime=False,
                log_model_api=False,
            )  # fmt: skip
            (log,) = Path(folder).glob(f"*.{kind}")
            shutil.copy(log, HERE / f"inspect_small_talk.{kind}")


def lm_eval() -> None:
    """A task with generated text, two filters and two metrics, and one of multiple choice, by the dummy model."""
    gen = {
        "task": "small_talk", "output_type": "generate_until", "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}", "generation_kwargs": {"until": ["\n"]},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}, {"metric": "bleu"}],
        "filter_list": [
            {"name": "none", "filter": [{"function": "take_first"}]},
            {"name": "lower", "filter": [{"function": "lowercase"}, {"function": "take_first"}]},
        ],
    }  # fmt: skip
    choice = {
        "task": "small_choice", "output_type": "multiple_choice", "doc_to_text": "{{question}}",
        "doc_to_target": "gold", "doc_to_choice": "choices", "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }  # fmt: skip
    answers = ("lol", "water", "penguin")  # the dummy model says lol to everything
    docs = [
        {"question": q, "answer": a, "choices": [str(t), "snow"], "gold": 0}
        for (_, q, t, _, _), a in zip(SAMPLES, answers, strict=True)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "docs.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs))
        source = {"dataset_path": "json", "test_split": "train"}
        source["dataset_kwargs"] = {"data_files": str(folder / "docs.jsonl")}  # type: ignore[assignment]
        for task in (gen, choice):  # YAML reads JSON
            (folder / f"{task['task']}.yaml").write_text(json.dumps(task | source))
        tasks = ["--tasks", "small_talk,small_choice", "--include_path", name]
        out = ["--output_path", str(folder / "out"), "--log_samples"]
        subprocess.run([sys.executable, "-m", "lm_eval", "--model", "dummy", *tasks, *out], check=True)
        for file in (folder / "out").rglob("samples_*.jsonl"):
            shutil.copy(file, HERE / f"{file.name.rpartition('_')[0]}_2026-01-01T00-00-00.000000.jsonl")


CONTROLS = """<View><Text name="p" value="$prompt"/><Text name="r" value="$response"/>
<Choices name="safety" toName="r"><Choice value="safe"/><Choice value="unsafe"/></Choices>
<Rating name="quality" toName="r"/></View>"""


def label_studio() -> None:
    """The SDK's converter makes JSON, JSON_MIN and CSV of a project's tasks.

    A is sure, B is not, C skips the last task and gives the second one's ground truth.
    """
    from label_studio_sdk.converter import Converter

    def annotation(number: int, who: str, choice: str | None, stars: int | None, **more: object) -> dict[str, object]:
        result = []
        if choice:
            value = {"choices": [choice]}
            result.append(
                {"from_name": "safety", "to_name": "r", "type": "choices", "value": value, "id": f"c{number}"}
            )
        if stars:
            value_ = {"rating": stars}
            result.append(
                {"from_name": "quality", "to_name": "r", "type": "rating", "value": value_, "id": f"r{number}"}
            )
        who_ = {"id": ord(who), "email": f"{who}@example.org", "first_name": "", "last_name": ""}
        said = {"completed_by": who_, "result": result, "was_cancelled": choice is None, "ground_truth": False}
        when = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "lead_time": 2.5}
        return {"id": number, **said, **when, **more}

    tasks = []
    for number, (_, question, _, category, (answer, _)) in enumerate(SAMPLES, 1):
        votes = [
            annotation(10 * number, "a", "safe", 5),
            annotation(10 * number + 1, "b", ("safe", "unsafe")[number % 2], None),
        ]
        votes.append(annotation(10 * number + 2, "c", None if number == 3 else "safe", None, ground_truth=number == 2))
        value = {"choices": ["unsafe"]}
        guess = {"from_name": "safety", "to_name": "r", "type": "choices", "value": value}
        prediction = {"model_version": "guess-1", "score": 0.7, "result": [guess]}
        data = {"prompt": question, "response": answer, "category": category}
        tasks.append({"id": number, "data": data, "annotations": votes, "predictions": [prediction]})
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project.json"
        project.write_text(json.dumps(tasks))
        converter = Converter(CONTROLS, project_dir=folder)
        for kind in ("JSON", "JSON_MIN", "CSV"):
            converter.convert(str(project), str(Path(folder) / kind), kind, is_dir=False)
            (made,) = (Path(folder) / kind).iterdir()
            shutil.copy(made, HERE / f"label_studio_{kind.lower()}{made.suffix}")


def argilla() -> None:
    """Two users, two questions, a suggestion and a discarded response, as `dataset.records.to_json` writes them."""
    import uuid

    import argilla as rg
    from argilla.records._io import JsonIO

    a, b = uuid.UUID(int=1), uuid.UUID(int=2)
    records = []
    for number, (_, question, _, category, (answer, _)) in enumerate(SAMPLES, 1):
        responses = [rg.Response("safe", "yes", user_id=a, status="submitted"), rg.Response("stars", number, user_id=a)]
        status = "discarded" if number == 3 else "submitted"
        responses.append(rg.Response("safe", ("yes", "no")[number % 2], user_id=b, status=status))
        records.append(
            rg.Record(
                id=f"r{number}", fields={"prompt": question, "response": answer}, metadata={"category": category},
                suggestions=[rg.Suggestion("safe", "yes", agent="guard", score=0.9)], responses=responses,
            )
        )  # fmt: skip
    target = HERE / "argilla_records.json"
    target.unlink(missing_ok=True)
    JsonIO.to_json(records, target)


def every_eval_ever() -> None:
    """Its own converter, from an Inspect log of a model whose name it can take apart."""
    from inspect_ai import Task
    from inspect_ai import eval as run
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import includes

    outputs = []
    for *_, texts in SAMPLES:
        output = ModelOutput.from_content("demo/small", texts[0])
        output.usage = ModelUsage(input_tokens=5, output_tokens=5, total_tokens=10)
        outputs.append(output)
    dataset = [Sample(id=str(i), input=q, target=t) for i, q, t, _, _ in SAMPLES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = Task(dataset=dataset, scorer=[includes()], name="small_talk")
        model = get_model("mockllm/demo/small", custom_outputs=outputs, memoize=False)
        run(task, model=model, log_format="json", log_dir=str(folder / "logs"), display="none", max_samples=1)
        (log,) = (folder / "logs").glob("*.json")
        log.write_text(log.read_text().replace("mockllm/demo/small", "vllm/demo/small"))  # a provider it knows
        subprocess.run(
            [
                sys.executable, "-m", "every_eval_ever", "convert", "inspect", "--log_path", str(log), "--output_dir",
                str(folder / "out"), "--source_organization_name", "interjudge tests",
            ],
            check=True,
        )  # fmt: skip
        for file in (folder / "out").rglob("*.json*"):
            kind = "samples.jsonl" if file.suffix == ".jsonl" else "evaluation.json"
            shutil.copy(file, HERE / f"every_eval_ever_{kind}")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    makers = {
        "inspect": inspect, "lm-eval": lm_eval, "label-studio": label_studio, "argilla": argilla,
        "every-eval-ever": every_eval_ever,
    }  # fmt: skip
    for wanted in sys.argv[1:]:
        makers[wanted]()
