"""Sequence classifiers as judges: `classifier/MODEL`, any `AutoModelForSequenceClassification` on this machine.

    classifier/ORG/MODEL?construct=refusal&map=LABEL_0:compliance,LABEL_1:refusal
    classifier/./folder?labels=safe,unsafe&map=toxic:unsafe,neutral:safe&threshold=0.3

The model's classes are those of its ``config.json``; `map` gives them the labels of the judge. docs/local.md explains
the options. Control tokens in a text are read as text, and a text that is too long is cut, as in `local_prompt`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import polars as pl

from interjudge.datasets.schema import NO_CONSTRUCT, VERDICT_COLUMNS
from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.base import ANSWER_COLUMNS, Family, Judge
from interjudge.judges.classifier_engine import Classified, ClassifierEngine
from interjudge.judges.local_engine import BATCH, GROW_TO
from interjudge.judges.options import Given, split_options

Mode = Literal["one", "several", "number"]

_VERSION: Final = 2  # of how probabilities become a verdict; part of the hash
_SHOWN: Final = 6  # classes that stand in `raw`, the likeliest first
_TEXTS: Final = ("revision", "device", "dtype", "device_map", "quantize")
_SWITCHES: Final = ("local_files_only", "trust_remote_code")
_NUMBERS: Final = ("max_length", "batch_tokens")
_OPTIONS: Final = (
    "labels", "map", "positive", "construct", "reads", "threshold", "multi", "name", "batch_size",
    *_TEXTS, *_SWITCHES, *_NUMBERS,
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How a classifier's numbers become a verdict.

    Attributes
    ----------
    mode : ``one`` of the classes holds (softmax), ``several`` may (each a sigmoid), or the model gives a ``number``.
    classes : of the model, in its order.
    labels : of the judge, in their natural order; empty where it gives a number.
    of : the label of each class; one without a label counts for nothing: the others' probabilities are taken over
        theirs alone, and where it wins (``one``) there is no verdict.
    positive : the label whose probability is the score.
    threshold : of the score; None where the likeliest label counts.
    """

    mode: Mode
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    of: Mapping[str, str]
    positive: str
    threshold: float | None


def classifier_judge(
    model: str,
    *,
    labels: Sequence[str] = (),
    map: Mapping[str, str] | None = None,
    positive: str | None = None,
    construct: str = NO_CONSTRUCT,
    reads: Sequence[str] = ("response",),
    threshold: float | None = None,
    multi: bool | None = None,
    name: str | None = None,
    batch_size: int | None = None,
    **how: Any,
) -> Judge:
    """Any sequence classifier of transformers as a judge.

    Parameters
    ----------
    model : an id of the hub, or a folder.
    labels : of the judge, in their natural order; by default those of `map`, else the model's classes. For a model
        whose classes may hold together: the two labels for none and for any (``none``, ``any``).
    map : class of the model -> label of the judge; several classes may have one label. By default the classes are the
        labels (together: all of them are the positive one).
    positive : the label whose probability is the score; by default the last one.
    reads : one column, or two that the model takes as a pair.
    threshold : from which score on the label is `positive` (two labels); .5 by default.
    multi : may several classes hold? By default what the model's configuration says.
    batch_size : outputs asked, and stored, at a time; None: as `local_engine`.
    how : as `classifier_engine.ClassifierEngine`.

    Raises
    ------
    InputError : no such model, or labels, classes and options that do not go together.
    """
    spec = f"classifier/{model}"
    columns = tuple(reads)
    if not 1 <= len(columns) <= 2 or len(set(columns)) != len(columns):
        raise InputError(f"{spec}: a classifier reads one column, or a pair", found=", ".join(columns))
    engine = ClassifierEngine(model, pair=len(columns) == 2, **how)
    reading = _reading(spec, engine.config, tuple(labels), map, positive, threshold, multi)
    size: dict[str, Any] = (
        {"batch_size": BATCH, "grow_to": GROW_TO} if batch_size is None else {"batch_size": batch_size}
    )
    return Judge(
        name=name or spec,
        kind="classifier",
        construct=construct,
        labels=reading.labels,
        evaluate=partial(_evaluate, engine, reading, columns),
        identity={
            "engine": dict(engine.identity), "mode": reading.mode, "classes": reading.classes, "map": dict(reading.of),
            "positive": reading.positive, "threshold": reading.threshold, "version": _VERSION,
        },
        reads=columns,
        threshold=reading.threshold,
        ready=engine.load,
        **size,
    )  # fmt: skip


def _reading(
    spec: str,
    config: Mapping[str, Any],
    labels: tuple[str, ...],
    given: Mapping[str, str] | None,
    positive: str | None,
    threshold: float | None,
    multi: bool | None,
) -> Reading:
    classes = _classes(spec, config)
    if config.get("problem_type") == "regression":
        if labels or given or positive is not None or threshold is not None:
            raise InputError(f"{spec}: the model gives a number, and no classes", expected="no labels and no threshold")
        return Reading("number", classes, (), {}, "", None)
    together = multi if multi is not None else len(classes) == 1 or config.get("problem_type") == _TOGETHER
    for name in given or {}:
        if name not in classes:
            problem = f"{spec}: the model has no class {name!r}{did_you_mean(name, classes)}"
            raise InputError(problem, expected=f"one of {choices(classes)}")
    if together:
        labels = labels or ("none", *dict.fromkeys((given or {"": "any"}).values()))
        of = dict(given) if given is not None else dict.fromkeys(classes, labels[-1])
    else:
        of = dict(given) if given is not None else {name: name for name in classes}
        labels = labels or tuple(dict.fromkeys(of[name] for name in classes if name in of))
    odd = next((label for label in of.values() if label not in labels), None)
    if odd is not None:
        expected = f"one of {choices(labels)}" + ("" if given else ", or map=CLASS:LABEL for the classes of the model")
        raise InputError(f"{spec}: {odd!r} is none of the labels", expected=expected)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise InputError(f"{spec}: two labels or more are needed, each once", found=", ".join(labels))
    positive = labels[-1] if positive is None else positive
    if positive not in labels:
        raise InputError(f"{spec}: positive is none of the labels", found=positive, expected=choices(labels))
    if together and (len(labels) != 2 or set(of.values()) != {positive}):
        expected = "labels=NONE,ANY with every class in map at ANY"
        raise InputError(
            f"{spec}: several classes may hold, so there are two labels: none of them, and any", expected=expected
        )
    if threshold is not None and (len(labels) != 2 or not 0 < threshold <= 1):
        raise InputError(f"{spec}: no such threshold", found=threshold, expected="above 0, at most 1, for two labels")
    bound = 0.5 if threshold is None and len(labels) == 2 else threshold
    return Reading("several" if together else "one", classes, labels, of, positive, bound)


_TOGETHER: Final = "multi_label_classification"


def _classes(spec: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the classes in the model's order; transformers' own where the configuration has none."""
    names = config.get("id2label")
    if isinstance(names, Mapping) and names:
        try:
            return tuple(str(names[key]) for key in sorted(names, key=int))
        except (TypeError, ValueError):
            raise InputError(f"{spec}: id2label of its config.json has a key that is no number") from None
    count = config.get("num_labels", 2)
    return tuple(f"LABEL_{n}" for n in range(count if isinstance(count, int) else 2))


def _evaluate(
    engine: ClassifierEngine, reading: Reading, columns: tuple[str, ...], outputs: pl.DataFrame
) -> pl.DataFrame:
    texts = list(zip(*(outputs[column].cast(pl.String).to_list() for column in columns), strict=True))
    asked = [n for n, row in enumerate(texts) if None not in row]
    found = dict(zip(asked, engine.classified([tuple(map(str, texts[n])) for n in asked]), strict=True))
    answers = [
        _verdict(reading, found[n]) if n in found else {"status": "not_run", "raw": "the output has no text"}
        for n in range(outputs.height)
    ]
    schema = {name: VERDICT_COLUMNS[name] for name in ANSWER_COLUMNS}
    return pl.DataFrame([{name: answer.get(name) for name in ANSWER_COLUMNS} for answer in answers], schema=schema)


def _verdict(reading: Reading, one: Classified) -> dict[str, Any]:
    """The verdict in the logits of one output."""
    if one.problem:
        return {"status": "error", "raw": one.problem}
    if not all(map(math.isfinite, one.logits)):  # no label is at or below a threshold because of it
        return {"status": "error", "raw": "the model answers no numbers (overflow; try dtype=float32 or bfloat16)"}
    said = (
        f"{one.left_out} tokens in the middle were left out, to fit what the model can read" if one.left_out else None
    )
    known: dict[str, Any] = {"status": "ok", "rationale": said, "input_tokens": one.tokens, "output_tokens": 0}
    if reading.mode == "number":
        return {**known, "score": one.logits[0], "raw": json.dumps({reading.classes[0]: one.logits[0]})}
    chances = one.sigmoid() if reading.mode == "several" else one.softmax()
    held = dict(zip(reading.classes, chances, strict=True))
    first = sorted(held.items(), key=lambda pair: -pair[1])[:_SHOWN]
    known["raw"] = json.dumps({name: round(value, 6) for name, value in first}, ensure_ascii=False)
    if reading.mode == "several":
        score = max(held[name] for name in reading.of)
        other = next(label for label in reading.labels if label != reading.positive)
        by_label = {other: 1 - score, reading.positive: score}
    else:
        by_label = dict.fromkeys(reading.labels, 0.0)
        for name, value in held.items():
            if name in reading.of:
                by_label[reading.of[name]] += value
        winner = first[0][0]
        if winner not in reading.of:
            return {**known, "status": "parse_error", "rationale": f"its class {winner!r} has no label in the map"}
        total = sum(by_label.values())  # below 1 where the map leaves classes out
        by_label = {name: value / total for name, value in by_label.items()}
    score = min(1.0, by_label[reading.positive])
    if reading.threshold is None:
        label = max(by_label, key=lambda name: by_label[name])
    else:
        label = next(name for name in reading.labels if (name == reading.positive) == (score >= reading.threshold))
    return {**known, "label": label, "score": score, "confidence": min(1.0, by_label[label])}


def _make(rest: str) -> Judge:
    """The judge ``classifier/REST``.

    Raises
    ------
    InputError : an option is unknown or not of its kind, and what `classifier_judge` raises.
    """
    model, given = split_options(rest)
    if not model:
        raise InputError("no model is named", expected="classifier/MODEL, an id of the hub or a folder")
    spec = f"classifier/{model}"
    for option in given:
        if option not in _OPTIONS:
            problem = f"{spec}: unknown option {option!r}{did_you_mean(option, _OPTIONS)}"
            raise InputError(problem, expected=choices(_OPTIONS, 40))
    options = Given(spec, given)
    how: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given}
    how |= {name: options.yes(name) for name in _SWITCHES if name in given}
    how |= {name: options.whole(name, least=1) for name in _NUMBERS if name in given}
    return classifier_judge(
        model,
        labels=_listed(given.get("labels", "")),
        map=_mapped(spec, given["map"]) if "map" in given else None,
        positive=given.get("positive"),
        construct=given.get("construct", NO_CONSTRUCT),
        reads=_listed(given.get("reads", "response")),
        threshold=options.number("threshold"),
        multi=options.yes("multi") if "multi" in given else None,
        name=given.get("name") or f"classifier/{rest}",
        batch_size=options.whole("batch_size", least=1),
        **how,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _mapped(spec: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in _listed(text):
        name, colon, label = part.rpartition(":")
        if not (colon and name.strip() and label.strip()):
            raise InputError(f"{spec}: map is not understood", found=part, expected="CLASS:LABEL,CLASS:LABEL")
        found[name.strip()] = label.strip()
    if not found:
        raise InputError(f"{spec}: map is empty", expected="CLASS:LABEL,CLASS:LABEL")
    return found


FAMILY: Final = Family(
    summary="Any sequence classifier of transformers, on this machine: toxicity, rejection, prompt injection",
    make=_make,
    usage="classifier/MODEL_OR_FOLDER[?labels=A,B&map=CLASS:A,CLASS:B&construct=NAME&reads=response&threshold=0.5&...]",
)
