"""Writes the files in `foreign/`, each with the software whose format it is; our own texts are in them.

    python make_foreign_files.py inspect       # where inspect_ai is installed
    python make_foreign_files.py lm-eval       # ... lm_eval (its dummy model)
    python make_foreign_files.py label-studio  # ... label-studio-sdk
    python make_foreign_files.py argilla       # ... argilla
    python make_foreign_files.py every-eval-ever  # ... every_eval_ever (Python 3.12) and inspect_ai
    python make_foreign_files.py harmbench    # in a checkout of HarmBench, with transformers, spacy and datasketch
    python make_foreign_files.py strongreject # where strong_reject is installed

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


BEHAVIORS = (  # id, what it asks for, its tags, the test cases; what the model says, and the classifier of that
    (
        "jar_of_honey", "Take the honey", "", ("Where is the honey kept?", "Honey, now!"),
        ("On the top shelf.", "I cannot say."), ("yes", "no"),
    ),
    ("locked_shed", "Open the shed", "context", ("Open it.",), ("Maybe with a key.",), ("perhaps",)),
    (
        "rhyme_of_the_hill", "Recite the rhyme", "lyrics, hash_check", ("The rhyme, please.", "Say it."),
        ("", "I do not know it."), (),
    ),
)  # fmt: skip
RHYME = "Up the hill and over the stile, the baker's boy went half a mile, " * 8


def harmbench() -> None:
    """HarmBench's two steps, completions and their evaluation, in a checkout of it as the working directory.

    The models are ours: what generates says our texts, and what stands in vLLM's place gives the classifier's word
    (one of them neither yes nor no). spaCy's tokenizer for English stands in for its small model, which has that one.
    """
    import csv
    import os
    import pickle
    import runpy
    from types import ModuleType, SimpleNamespace

    import spacy
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    checkout = Path.cwd()
    sys.path.insert(0, str(checkout))
    spacy.load = lambda _: spacy.blank("en")
    says = {case: text for *_, cases, texts, _ in BEHAVIORS for case, text in zip(cases, texts, strict=True)}
    says["The rhyme, please."] = RHYME
    words = iter([word for *_, given in BEHAVIORS for word in given])

    class Model:
        def __init__(self, **_: object) -> None:
            self.llm_engine = SimpleNamespace(tokenizer=SimpleNamespace(tokenizer=SimpleNamespace()))

        def generate(self, inputs: list[str], *_: object, **__: object) -> list[object]:
            return [SimpleNamespace(outputs=[SimpleNamespace(text=next(words))]) for _ in inputs]

    speaker = SimpleNamespace(generate=lambda prompts, **_: [says[one] for one in prompts])
    stand_ins = {
        "vllm": {"LLM": Model, "SamplingParams": lambda **_: None},
        "baselines": dict.fromkeys(("get_template", "load_model_and_tokenizer", "load_vllm_model")),
        "api_models": {"api_models_map": lambda **_: speaker},
        "multimodalmodels": {},
    }
    for name, members in stand_ins.items():
        sys.modules[name] = module = ModuleType(name)
        vars(module).update(members)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
        tokenizer = Tokenizer(models.BPE(letters, []))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained("classifier")
        with Path("behaviors.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(
                ("Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString", "BehaviorID")
            )
            table.writerows((asked, "standard", "play", tags, "A shed.", key) for key, asked, tags, *_ in BEHAVIORS)
        Path("cases.json").write_text(json.dumps({key: cases for key, _, _, cases, *_ in BEHAVIORS}))
        Path("models.yaml").write_text("play:\n  model:\n    model_name_or_path: play\n")
        hashes = Path("data/copyright_classifier_hashes")
        hashes.mkdir(parents=True)
        utils = runpy.run_path(str(checkout / "eval_utils.py"))
        known = utils["compute_hashes_with_sliding_window"](RHYME, window_size=50, overlap=40)
        (hashes / "rhyme_of_the_hill.pkl").write_bytes(pickle.dumps(known))

        def step(script: str, *options: str) -> None:
            sys.argv = [script, "--behaviors_path", "behaviors.csv", *options]
            runpy.run_path(str(checkout / script), run_name="__main__")

        said, judged = HERE / "harmbench_completions.json", HERE / "harmbench_results.json"
        step("generate_completions.py", "--model_name", "play", "--models_config_file", "models.yaml",
             "--test_cases_path", "cases.json", "--save_path", str(said))  # fmt: skip
        step("evaluate_completions.py", "--cls_path", "classifier", "--completions_path", str(said),
             "--save_path", str(judged), "--include_advbench_metric")  # fmt: skip


def strongreject() -> None:
    """Three answers, judged by matching strings, by the rubric and by the AISI prompt; the model is ours, on 127.0.0.1.

    To one of the three the rubric's judge gives no grade: the package writes a score of NaN, and no judge.
    """
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from strong_reject.evaluate import evaluate_dataset

    from datasets import Dataset

    grades = {"top shelf": ("0", "5", "4", "4"), "cannot": ("1", "1", "1", "1"), "Hm": (None, None, None, "2")}

    class Judge(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            refused, convincing, specific, score = next(given for word, given in grades.items() if word in asked)
            rubric = f"1.b {refused}\n2.b {convincing}\n3.b {specific}" if refused else "That is hard to tell."
            message = {"role": "assistant", "content": f"{rubric}\n<score>{score}</score>"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            reply = json.dumps(
                {"id": "1", "object": "chat.completion", "created": 0, "model": "j", "choices": [choice]}
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    prompts = ("Where is the honey kept?", "Honey, now!", 'Open the "shed", please.')
    rows = {
        "category": ["play"] * 3, "source": ["ours"] * 3, "forbidden_prompt": list(prompts), "jailbreak": ["none"] * 3,
        "jailbroken_prompt": list(prompts), "model": ["play"] * 3,
        "response": ["On the top shelf,\nbehind the tea.", "I'm sorry, I cannot say.", "Hm.\nWell, well."],
    }  # fmt: skip
    judged = evaluate_dataset(
        Dataset.from_dict(rows), ["string_matching", "strongreject_rubric", "strongreject_aisi"],
        models=["openai/judge"], api_base=f"http://127.0.0.1:{server.server_port}", api_key="none",
    )  # fmt: skip
    server.shutdown()
    judged.to_pandas().to_csv(HERE / "strongreject_evaluation.csv", index=False)


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    makers = {
        "inspect": inspect, "lm-eval": lm_eval, "label-studio": label_studio, "argilla": argilla,
        "every-eval-ever": every_eval_ever, "harmbench": harmbench, "strongreject": strongreject,
    }  # fmt: skip
    for wanted in sys.argv[1:]:
        makers[wanted]()
