"""Verdicts as the scores file that Inspect AI's `precomputed_scores` scorer applies to a log.

Its reader (inspect_ai 0.3.2xx, `scorer/_precomputed.py`) wants a list of records with `id` (the sample's), `value`,
and optionally `epoch`, `answer`, `explanation` and `metadata`; one record for each sample and epoch.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import polars as pl

from interjudge.errors import InputError

# Inspect's own letters for what its metrics count; all other labels go as they are.
_GRADES: Final = {"correct": "C", "incorrect": "I", "partial": "P", "no_answer": "N"}
_WORDS: Final = {"true": True, "false": False}


def scores_text(verdicts: pl.DataFrame, *, lines: bool) -> tuple[str, int]:
    """The file's text (`lines`: JSON Lines, else a JSON array) and the number of records.

    The sample is `sample_id` and `epoch` where the verdicts came from a log, else `item_id`. With one judge the value
    is its label or score; with several, an object of them by the judge's name, a repeat n > 0 as `judge#n`. A verdict
    that is not ok is NaN, Inspect's mark of the unscored, its status in the metadata.

    Raises
    ------
    InputError : two items are one sample and epoch there (the verdicts are of several models or logs).
    """
    columns = {name: verdicts[name].to_list() for name in verdicts.columns}
    several = verdicts.select("judge", "repeat").unique().height > 1
    records: dict[tuple[object, object], dict[str, Any]] = {}
    items: dict[tuple[object, object], object] = {}
    for row in range(verdicts.height):
        one = {name: values[row] for name, values in columns.items()}
        sample, epoch = _sample(one)
        key = (sample, epoch)
        if items.setdefault(key, one["item_id"]) != one["item_id"]:
            raise InputError(
                "two outputs are the same sample to Inspect AI", column="sample_id", found=sample,
                expected="the verdicts of one log",
            )  # fmt: skip
        record = records.setdefault(key, {"id": sample, **({"epoch": epoch} if epoch is not None else {})})
        _add(record, one, several)
    if lines:
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records.values())
    else:
        text = json.dumps(list(records.values()), ensure_ascii=False, indent=1) + "\n"
    return text, len(records)


def _sample(row: dict[str, Any]) -> tuple[object, int | None]:
    if row.get("sample_id") is None:
        return row["item_id"], None
    epoch = row.get("epoch")
    return row["sample_id"], int(epoch) if epoch is not None and str(epoch).isdigit() else None


def _add(record: dict[str, Any], row: dict[str, Any], several: bool) -> None:
    name = row["judge"] if row["repeat"] == 0 else f"{row['judge']}#{row['repeat']}"
    ok = row["status"] == "ok"
    value = _value(row) if ok else math.nan  # null would be counted as 0 there
    if several:
        record.setdefault("value", {})[name] = value
    else:
        record["value"] = value
    said = row.get("rationale") if ok else row.get("raw") or row["status"]
    if said:
        text = f"{name}: {said}" if several else said
        record["explanation"] = "\n".join(filter(None, [record.get("explanation"), text]))
    metadata = record.setdefault("metadata", {"judges": {}})
    about = {"kind": row["judge_kind"], "construct": row["construct"], "status": row["status"]}
    if row.get("confidence") is not None:
        about["confidence"] = row["confidence"]
    metadata["judges"][name] = about


def _value(row: dict[str, Any]) -> object:
    """The label where there is one, with Inspect's letter where it has one; else the score."""
    label = row.get("label")
    if label is None:
        return row.get("score")
    if row.get("score") is not None and label == f"{row['score']:g}":
        return row["score"]
    return (
        _GRADES.get(label, _WORDS.get(label, label)) if row["construct"] == "correctness" else _WORDS.get(label, label)
    )
