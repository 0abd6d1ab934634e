"""Where the responses are at hand and nobody judged their coherence or refusal, two offline judges read them.

Their verdicts never join a panel: they are reasons beside other judges' verdicts (`agreement.evidence`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score

if TYPE_CHECKING:
    from interjudge.agreement.analysis import Tables

READERS: Final = {"coherence": "coherence:heuristic", "refusal": "keyword:default"}
MAX_READ: Final = 100_000  # outputs; more would take longer than the analysis itself


def side_evidence(tables: Tables) -> pl.DataFrame | None:
    """Verdicts on coherence and refusal for constructs that no judge of the tables measures.

    None without response texts, with more than `MAX_READ` outputs, or where the tables have judges of both.
    """
    texts = _texts(tables)
    if texts is None:
        return None
    measured = set(tables.verdicts["construct"].unique()) if "construct" in tables.verdicts.columns else set()
    judges = [get_judge(name) for construct, name in READERS.items() if construct not in measured]
    return score(texts, judges) if judges else None


def readers(evidence: pl.DataFrame | None) -> tuple[str, ...]:
    """The judges whose verdicts these are."""
    return () if evidence is None else tuple(evidence["judge"].unique(maintain_order=True))


def _texts(tables: Tables) -> pl.DataFrame | None:
    """item_id, prompt, response of the outputs that have verdicts."""
    source = tables.verdicts if tables.outputs is None else tables.outputs
    if "response" not in source.columns:
        return None
    text = source.select("item_id", "prompt" if "prompt" in source.columns else pl.lit("").alias("prompt"), "response")
    text = text.drop_nulls("response").with_columns(pl.col("prompt").fill_null("")).unique("item_id", keep="first")
    if tables.outputs is not None:
        text = text.join(tables.verdicts.select("item_id").unique(), on="item_id", how="semi")
    return text.sort("item_id") if 0 < text.height <= MAX_READ else None
