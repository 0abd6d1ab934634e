"""The bundled demo set: real outputs of a small model and of fine-tunes of it, with reference labels
and stored verdicts.

How they were made, and what the labels are, stands in DEMO.md beside this file.
"""

from __future__ import annotations

import io
from importlib.resources import files

import polars as pl


def load_outputs() -> pl.DataFrame:
    """The outputs, one row each, with the columns of `schema.OUTPUT_COLUMNS` that apply and `topic`."""
    return _load("demo_outputs.parquet")


def load_reference() -> pl.DataFrame:
    """`item_id`, `criterion` (``refusal``, ``harm``, ``coherence``), `gold`, `note`: three rows an output."""
    return _load("demo_reference.parquet")


def load_verdicts() -> pl.DataFrame:
    """Verdicts on the outputs by judges that need a model, with the columns of `schema.VERDICT_COLUMNS` that apply."""
    return _load("demo_verdicts.parquet")


def _load(name: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(files("interjudge.datasets").joinpath(name).read_bytes()))
