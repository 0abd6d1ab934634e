"""Inspect AI logs (`.eval`, `.json`), through inspect_ai's own reader: samples, epochs, scorers.

Every sample and epoch is an output, every scorer a judge; a scorer with several values is several judges,
`scorer:value`. NaN is how Inspect writes "unscored": a status here.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, Literal

from interjudge.datasets.foreign import Found, formats, scale
from interjudge.datasets.foreign_rows import Asked, Rows
from interjudge.datasets.foreign_values import NOT_RUN, Reading, plain, scored
from interjudge.datasets.probe import MAX_DOCUMENT, Probe, document_bytes
from interjudge.datasets.schema import NO_CONSTRUCT
from interjudge.errors import InputError

EXTRA: Final = "pip install 'interjudge[inspect]'"
# What no table needs, and what makes logs large.
_LEFT_OUT: Final = {"events", "store", "messages", "attachments", "timelines"}
_MAX_MEMBER: Final = 1 << 28  # bytes of one sample
_BOMB: Final = 100  # a log that unpacks to more than this many times its size, and to more than _MAX_MEMBER
# Inspect's reasons for an abnormal score; another one is a verdict that was not made.
_REASONS: Final = {"grader_failed": "parse_error", "scoring_failed": "error"}
_GRADES: Final = {"C", "I", "P", "N"}
_IDENTITY: Final = ("benchmark", "model", "sample_id", "prompt", "response", "repeat")


def recognises(probe: Probe) -> bool:
    """A zip archive as Inspect writes it, or a JSON object that begins with the version and status of a log."""
    if probe.source.format == "eval":
        return True
    return re.match(rb'\s*\{\s*"version"\s*:\s*[0-9]+\s*,\s*"status"\s*:', probe.start) is not None


def read(probe: Probe) -> Found:
    """Outputs, and verdicts where there are scores.

    Raises
    ------
    InputError : inspect_ai is not installed, the log cannot be read by it, or is too large.
    """
    log = _log(probe)
    rows = Rows(probe.source.name)
    failed = 0
    graded, fractional = _surveyed(log.samples or ())
    for sample in log.samples or ():
        where = f"sample {sample.id!r}, epoch {sample.epoch}"
        failed += sample.error is not None
        item = rows.item(
            where, prompt=_prompt(sample), response=sample.output.completion, model=log.eval.model,
            benchmark=log.eval.task, category=_category(sample), repeat=max(sample.epoch - 1, 0),
            sample_id=sample.id, epoch=sample.epoch, target=_target(sample.target),
        )  # fmt: skip
        for name, score in (sample.scores or {}).items():
            for judge, value in _values(name, score.value):
                asked = Asked(judge, _kind(name), "correctness" if judge in graded else NO_CONSTRUCT)
                reading = _reading(value, score.reason, score.explanation, judge in graded, judge not in fractional)
                rows.verdict(item, asked, reading, rationale=score.explanation)
    if not rows.n_items:
        raise InputError("the log holds no samples", file=probe.source.name)
    notes = [f"{failed:,} samples ended in an error"] if failed else []
    return rows.found(identity=_IDENTITY, notes=notes)


def _log(probe: Probe) -> Any:
    try:
        from inspect_ai.log import read_eval_log  # noqa: PLC0415  (an optional extra, and slow to import)
    except ImportError as error:
        raise InputError(
            "is an Inspect AI log, and inspect_ai, which reads it, is not installed",
            file=probe.source.name,
            expected=EXTRA,
        ) from error
    kind: Literal["eval", "json"] = "eval" if probe.source.format == "eval" else "json"
    with _opened(probe, kind) as file:
        try:
            return read_eval_log(file, format=kind, exclude_fields=_LEFT_OUT)
        except Exception as error:  # whatever inspect_ai raises on a damaged log, it is the file's fault
            words = str(error).split("\n")[0][:200] or type(error).__name__
            raise InputError(f"cannot be read by inspect_ai: {words}", file=probe.source.name) from error


def _opened(probe: Probe, kind: str) -> IO[bytes]:
    data = probe.source.data
    if kind == "json":
        return BytesIO(document_bytes(probe.source))
    try:
        with zipfile.ZipFile(BytesIO(data) if isinstance(data, bytes) else data) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"the archive is damaged or ends early ({error})", file=probe.source.name) from error
    sizes = [member.file_size for member in members if _wanted(member.filename)]
    packed = sum(member.compress_size for member in members) or 1
    if max(sizes, default=0) > _MAX_MEMBER or (sum(sizes) > _MAX_MEMBER and sum(sizes) > _BOMB * packed):
        raise InputError(
            f"unpacks to {sum(sizes):,} bytes from {packed:,}, more than is read",
            file=probe.source.name,
            expected=f"samples of at most {MAX_DOCUMENT >> 20} MiB each",
        )
    return BytesIO(data) if isinstance(data, bytes) else Path(data).open("rb")


def _wanted(name: str) -> bool:
    return not name.startswith("_journal/")


def _prompt(sample: Any) -> str:
    """The input as text: a chat as its messages, each with its role unless there is only one."""
    if isinstance(sample.input, str):
        return sample.input
    messages = list(sample.input)
    if len(messages) == 1:
        return str(messages[0].text)
    return "\n\n".join(f"{message.role}: {message.text}" for message in messages)


def _category(sample: Any) -> object:
    value = (sample.metadata or {}).get("category")
    return value if isinstance(value, str | int) else None


def _target(target: object) -> str | None:
    return "; ".join(map(str, target)) if isinstance(target, list) else None if target is None else str(target)


def _values(name: str, value: object) -> Iterator[tuple[str, object]]:
    """The judge and value of each of a scorer's values; of a list the values are numbered."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{name}:{key}", inner
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value, 1):
            yield f"{name}:{number}", inner
    else:
        yield name, value


def _kind(scorer: str) -> str:
    kinds: dict[str, list[str]] = formats()["inspect"].said["kinds"]
    bare = scorer.rpartition("/")[2]
    return next((kind for kind, names in kinds.items() if re.sub(r"[0-9]+$", "", bare) in names), "imported")


def _surveyed(samples: Iterable[Any]) -> tuple[set[str], set[str]]:
    """The judges whose every text is one of Inspect's grades (a C among A, B and D is none), and those with another
    number than 0 and 1 (whose 0 and 1 are ends of a scale, and no labels)."""
    graded: set[str] = set()
    other: set[str] = set()
    fractional: set[str] = set()
    for sample in samples:
        for name, score in (sample.scores or {}).items():
            for judge, value in _values(name, score.value):
                if isinstance(value, str):
                    (graded if value in _GRADES else other).add(judge)
                elif isinstance(value, int | float) and value not in (0, 1) and not math.isnan(value):
                    fractional.add(judge)
    return graded - other, fractional


def _reading(value: object, reason: str | None, explanation: str | None, graded: bool, labelled: bool) -> Reading:
    """`graded`: texts are Inspect's grades; `labelled`: numbers are 0 or 1, which are labels too."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        status = _REASONS.get(reason or "", "not_run")
        words = ": ".join(part for part in (reason, explanation) if part)
        return Reading(status, raw=words[:500] or None)
    if isinstance(value, str):
        return scale("grade" if graded else "text").read(value)
    if isinstance(value, bool):
        return Reading("ok", plain(value))
    if isinstance(value, int | float):
        reading = scored(value)
        return reading if reading.status != "ok" or not labelled else Reading("ok", plain(value), float(value))
    return NOT_RUN
