"""The coherence judges with a model: `coherence:lm`, `coherence:embedding`, and `coherence:full`, which joins them.

    coherence:lm?model=ID_OR_PATH&revision=...&device=cuda&dtype=bfloat16&gguf=FILE
    coherence:embedding?model=ID_OR_PATH&pooling=first
    coherence:full?lm=ID_OR_PATH&embedding=ID_OR_PATH&device=cpu

Each turns what it sees into signals and scores them as the heuristic judge does (`judges.coherence`): the score is
2^-(scale * sum of ((value - low) / (threshold - low))^3). Figures stand in `coherence_models.toml`; how they were set,
on the small default models, stands in docs/coherence.md. Nothing is learned when it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges import coherence, coherence_surprisal, sentence_vectors, small_models, token_bits
from interjudge.judges.base import Judge
from interjudge.judges.coherence_settings import Signals, model_settings, settings
from interjudge.judges.coherence_text import Floats
from interjudge.judges.local_model import Loaded

VERSION: Final = 1  # of how texts become signals; part of the hash
BATCH: Final = 64  # outputs asked, and stored, at a time
ALLOWED: Final = {
    "lm": ("model", "revision", "dtype", "gguf", "device"),
    "embedding": ("model", "revision", "dtype", "pooling", "device"),
    "full": ("lm", "embedding", "dtype", "device"),
}
_NOTHING: Final = "nothing to read in it"
_PIECES: Final = ("mean", "first")


@dataclass(frozen=True)
class Ask:
    """Which models a judge uses and how; None is the default's."""

    lm: str | None = None
    encoder: str | None = None
    revision: str | None = None
    dtype: str | None = None
    gguf_file: str | None = None
    pooling: sentence_vectors.Pooling = "mean"
    device: str = "auto"


@dataclass(frozen=True)
class Found:
    """What one part of a judge found: signals (and words for the reader) an output, and what each signal adds."""

    values: pl.DataFrame
    added: Floats
    how: Signals
    more: tuple[str, ...]

    def said(self, bad: np.ndarray[Any, np.dtype[np.bool_]]) -> list[str | None]:
        return coherence.rationales(self.values, self.added, bad, self.how).to_list()

    def raw(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = coherence.reported(self.values, self.how, *self.more).to_list()
        return found


def model_judge(name: str, given: Mapping[str, str]) -> Judge:
    """The judge ``coherence:NAME`` with the options given.

    Raises
    ------
    InputError : an unknown option, or a model that is neither a folder or file nor an id of the hub.
    """
    ask = _asked(name, given)
    said = "&".join(f"{key}={given[key]}" for key in ALLOWED[name] if key in given and key != "device")
    evaluate = partial(_full, ask) if name == "full" else partial(_one, name, ask)
    return Judge(
        name=f"coherence:{name}" + (f"?{said}" if said else ""),
        kind="coherence",
        construct="coherence",
        labels=coherence.LABELS,
        evaluate=evaluate,
        identity=_identity(name, ask),
        batch_size=BATCH,
        threshold=coherence.THRESHOLD,
        ready=partial(_load, name, ask),
    )


def lm_signals(readings: Sequence[token_bits.Reading]) -> pl.DataFrame:
    """One row a reading: the signals of `coherence:lm`, and for the reader `tokens`, `left_out`, mean bits and gain."""
    how = model_settings().lm
    rows = [coherence_surprisal.measures(reading, how.signals) for reading in readings]
    schema = dict.fromkeys([*how.signals, *coherence_surprisal.REPORTED], pl.Float64)
    table = pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=schema)
    return table.with_columns(
        pl.Series("tokens", [len(reading.tokens) for reading in readings], dtype=pl.Int64),
        pl.Series("left_out", [reading.left_out for reading in readings], dtype=pl.Int64),
    )


def embedding_signals(relatedness: Floats, sameness: Floats, words: np.ndarray[Any, Any]) -> pl.DataFrame:
    """The signals of `coherence:embedding` from cosines of prompt and response, and of the response's two halves."""
    how = model_settings().embedding
    columns: dict[str, pl.Series] = {}
    weighed = {"unrelated": -relatedness, "echo": relatedness, "samey": sameness}
    for name, signal in how.signals.items():
        value = (weighed[name] - signal.usual) * words / (words + signal.weight)
        columns[name] = pl.Series(np.where(words >= signal.least, value, np.nan)).fill_nan(None)
    columns["relatedness"], columns["words"] = pl.Series(np.round(relatedness, 4)), pl.Series(words)
    return pl.DataFrame(columns)


def _load(name: str, ask: Ask) -> None:
    for part, load in (("lm", _causal), ("embedding", _encoder)):
        if name in (part, "full"):
            load(ask)


def _causal(ask: Ask) -> Loaded:
    return small_models.causal(ask.lm, ask.device, revision=ask.revision, dtype=ask.dtype, gguf_file=ask.gguf_file)


def _encoder(ask: Ask) -> Loaded:
    return small_models.encoder(ask.encoder, ask.device, revision=ask.revision, dtype=ask.dtype)


def _lm(ask: Ask, outputs: pl.DataFrame) -> Found:
    loaded = _causal(ask)
    scorer = token_bits.Scorer(loaded.model, loaded.tokenizer)
    values = lm_signals(scorer.read(_texts(outputs, "prompt"), _texts(outputs, "response")))
    how = model_settings().lm
    more = (*coherence_surprisal.REPORTED, "tokens", "left_out")
    return Found(values, coherence.contributions(values, how), how, more)


def _embedding(ask: Ask, outputs: pl.DataFrame) -> Found:
    loaded = _encoder(ask)
    prompts, responses = _texts(outputs, "prompt"), _texts(outputs, "response")
    halves = [half for response in responses for half in in_halves(response)]
    distinct = list(dict.fromkeys([*prompts, *responses, *halves]))
    rows, left_out = sentence_vectors.vectors(loaded.model, loaded.tokenizer, distinct, pooling=ask.pooling)
    at = {text: i for i, text in enumerate(distinct)}
    p, r, h = (rows[[at[text] for text in texts]] for texts in (prompts, responses, halves))
    values = embedding_signals(
        sentence_vectors.cosines(p, r),
        sentence_vectors.cosines(h[0::2], h[1::2]),
        np.array([len(text.split()) if prompt.strip() else 0 for prompt, text in zip(prompts, responses, strict=True)]),
    ).with_columns(pl.Series("left_out", [left_out[at[text]] for text in responses], dtype=pl.Int64))
    how = model_settings().embedding
    return Found(values, coherence.contributions(values, how), how, ("relatedness", "words", "left_out"))


def in_halves(text: str) -> tuple[str, str]:
    """The first and the second half of a text's words."""
    words = text.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


_PARTS: Final = {"lm": _lm, "embedding": _embedding}


def _one(part: str, ask: Ask, outputs: pl.DataFrame) -> pl.DataFrame:
    found = _PARTS[part](ask, outputs)
    return _verdicts(outputs, found.added.sum(1), [found], found.raw())


def _full(ask: Ask, outputs: pl.DataFrame) -> pl.DataFrame:
    weights = model_settings().full.model_dump()
    values = coherence.signals(outputs)
    parts = {
        "heuristic": Found(values, coherence.contributions(values), settings(), ("words",)),
        "lm": _lm(ask, outputs),
        "embedding": _embedding(ask, outputs),
    }
    weighed = [Found(f.values, weights[name] * f.added, f.how, f.more) for name, f in parts.items()]
    total = sum((f.added.sum(1) for f in weighed), start=np.zeros(outputs.height))
    rows = [dict(zip(parts, row, strict=True)) for row in zip(*(f.raw() for f in weighed), strict=True)]
    return _verdicts(outputs, total, weighed, rows)


def _verdicts(outputs: pl.DataFrame, sums: Floats, parts: Sequence[Found], raw: Sequence[object]) -> pl.DataFrame:
    blank = np.array([is_blank(text) for text in _texts(outputs, "response")], dtype=bool)
    label, score = coherence.labelled(np.where(blank, np.inf, sums))
    bad = (score < coherence.THRESHOLD) & ~blank
    said = zip(*(part.said(bad) for part in parts), strict=True)
    notes = [_joined(one, _cut(values)) for one, values in zip(said, raw, strict=True)]
    return pl.DataFrame(
        {
            "label": label,
            "score": score,
            "rationale": pl.Series(
                [_NOTHING if none else note for none, note in zip(blank, notes, strict=True)], dtype=pl.String
            ),
            "raw": pl.Series([json.dumps(values) for values in raw], dtype=pl.String),
        }
    )


def _joined(said: Sequence[str | None], cut: str) -> str | None:
    return "; ".join([words for words in said if words] + ([cut] if cut else [])) or None


def _cut(raw: object) -> str:
    """That not all of the response was read, in words."""
    assert isinstance(raw, dict)
    lm = raw.get("lm", raw)
    left = lm.get("left_out", 0)
    if not left:
        return ""
    if "tokens" in lm:
        return f"{left:,} tokens between the first and the last {lm['tokens'] // 2:,} were not read"
    return f"the last {left:,} tokens were not read"


def is_blank(text: str) -> bool:
    """Whether nothing of a text is to be seen: white space, characters of no width."""
    return not any(char.isprintable() and not char.isspace() for char in text)


def _texts(outputs: pl.DataFrame, name: str) -> list[str]:
    found: list[str] = outputs[name].cast(pl.String).fill_null("").to_list()
    return found


def _asked(name: str, given: Mapping[str, str]) -> Ask:
    spec = f"coherence:{name}"
    for key in given:
        if key not in ALLOWED[name]:
            problem = f"{spec}: unknown option {key!r}{did_you_mean(key, ALLOWED[name])}"
            raise InputError(problem, expected=choices(ALLOWED[name]))
    pooling = given.get("pooling", "mean")
    if pooling not in _PIECES:
        raise InputError(f"{spec}: unknown pooling", found=pooling, expected=choices(_PIECES))
    model = given.get("model") or None
    return Ask(
        lm=given.get("lm") or (model if name == "lm" else None),
        encoder=given.get("embedding") or (model if name == "embedding" else None),
        revision=given.get("revision"),
        dtype=given.get("dtype"),
        gguf_file=given.get("gguf"),
        pooling="first" if pooling == "first" else "mean",
        device=given.get("device", "auto"),
    )


def _identity(name: str, ask: Ask) -> dict[str, object]:
    """All that decides a verdict: the models, every figure, how much is read."""
    how = model_settings()
    found: dict[str, object] = {"version": VERSION, "threshold": coherence.THRESHOLD, "power": coherence.POWER}
    if name in ("lm", "full"):
        found["lm"] = {
            "model": small_models.causal_identity(
                ask.lm, revision=ask.revision, dtype=ask.dtype, gguf_file=ask.gguf_file
            ),
            "settings": how.lm.model_dump(mode="json"),
            "read": {"response_tokens": token_bits.RESPONSE_TOKENS, "prompt_tokens": token_bits.PROMPT_TOKENS},
            "statistics": coherence_surprisal.identity(),
        }
    if name in ("embedding", "full"):
        found["embedding"] = {
            "model": small_models.encoder_identity(ask.encoder, revision=ask.revision, dtype=ask.dtype),
            "settings": how.embedding.model_dump(mode="json"),
            "read": {"piece": sentence_vectors.PIECE, "pieces": sentence_vectors.PIECES, "pooling": ask.pooling},
        }
    if name == "full":
        found |= {"heuristic": coherence.identity(settings()), "weights": how.full.model_dump(mode="json")}
    return found
