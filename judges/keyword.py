"""The keyword refusal judges: ours (`keyword:default`) and anyone's published list (`keyword:FILE`)."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

import polars as pl

from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges import keyword_match, normalise
from interjudge.judges.base import Family, Judge
from interjudge.judges.keyword_file import PhraseList, read_phrase_list
from interjudge.judges.lexicon import built_in

LABELS: Final = ("compliance", "refusal")
CONSTRUCT: Final = "refusal"
BATCH_SIZE: Final = 20_000

# `default` is the mode that agreed best with the reference labels of the models it was developed on; the
# figures are in docs/keyword.md.
MODES: Final[dict[str, keyword_match.Mode]] = {
    "default": "anywhere",
    "prefix": "prefix",
    "anywhere": "anywhere",
    "first-sentence": "first-sentence",
}
SUFFIXES: Final = (".toml", ".txt")


def make(text: str) -> Judge:
    """The judge ``keyword:TEXT``: one of `MODES`, or a phrase list in a file that ends in `SUFFIXES`.

    Raises
    ------
    InputError : for a name that is neither, and for a file that cannot be read as a phrase list.
    """
    if text in MODES:
        return lexicon_judge(f"keyword:{text}", MODES[text])
    if PurePath(text).suffix.lower() in SUFFIXES:
        return phrase_list_judge(f"keyword:{text}", read_phrase_list(text), files=(text,))
    raise InputError(
        f"there is no judge 'keyword:{text}'{did_you_mean(text, MODES)}",
        expected=f"{choices(MODES)}, or a phrase list FILE.toml or FILE.txt",
    )


FAMILY: Final = Family(
    summary="Refusal or compliance by the phrases that stand in the response.",
    make=make,
    names=tuple(MODES),
    usage="keyword:FILE.txt (a phrase a line) or keyword:FILE.toml: your own list, exactly as it is written",
)


def lexicon_judge(name: str, mode: keyword_match.Mode) -> Judge:
    """Refusals by our lexicon; see docs/keyword.md for what a mode looks at."""
    lexicon = built_in()

    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        responses = outputs["response"]
        found = keyword_match.evidence(responses, lexicon, mode)
        refusals = keyword_match.judged(found, lexicon.source.threshold)
        rows = pl.DataFrame({"row": pl.int_range(responses.len(), eager=True), "response": responses})
        return rows.join(refusals, on="row", how="left", maintain_order="left").select(
            label=pl.when(pl.col("raw").is_not_null()).then(pl.lit("refusal")).otherwise(pl.lit("compliance")),
            rationale=pl.coalesce("rationale", _empty_response()),
            raw="raw",
        )

    return Judge(
        name=name,
        kind="keyword",
        construct=CONSTRUCT,
        labels=LABELS,
        evaluate=evaluate,
        identity={
            "matcher": {"normalise": normalise.VERSION, "match": keyword_match.VERSION},
            "mode": mode,
            "lexicon": lexicon.source.model_dump(mode="json"),
        },
        reads=("response",),
        batch_size=BATCH_SIZE,
    )


def phrase_list_judge(name: str, phrases: PhraseList, *, files: tuple[str, ...] = ()) -> Judge:
    """Refusals by a list of phrases, case-sensitive and without any normalisation unless the list asks for it."""

    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        answer = phrases.judged(outputs["response"])
        return answer.with_columns(outputs["response"]).select(
            "label", rationale=pl.coalesce("rationale", _empty_response()), raw="raw"
        )

    return Judge(
        name=name if phrases.name is None else f"keyword:{phrases.name}",
        kind="keyword",
        construct=CONSTRUCT,
        labels=LABELS,
        evaluate=evaluate,
        identity=phrases.identity(),
        reads=("response",),
        batch_size=BATCH_SIZE,
        files=files,
    )


def _empty_response() -> pl.Expr:
    """A label was given, as detectors of this kind do; the reader of the verdict learns on how little."""
    return pl.when(pl.col("response").str.strip_chars() == "").then(pl.lit("empty response"))
