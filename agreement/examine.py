"""A panel -> everything the report says of its question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from interjudge.agreement.ability import trust
from interjudge.agreement.conclusions import conclude
from interjudge.agreement.corrected_rates import corrected_rates
from interjudge.agreement.drivers import drivers
from interjudge.agreement.flags import Flags, flag
from interjudge.agreement.humans import EPSILON, humans
from interjudge.agreement.measure import agree
from interjudge.agreement.panel import Panel
from interjudge.agreement.plan import plan
from interjudge.agreement.results import DisputedOutput
from interjudge.agreement.results_drivers import Drivers
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.sampling import Sampling
from interjudge.agreement.service import service
from interjudge.agreement.stability import stability
from interjudge.agreement.worth import has_choice, panel_worth

N_DISPUTED: Final = 20
# Item columns that the statistics know what to do with, where there are any.
ITEM_COLUMNS: Final = ("model", "base_model", "benchmark", "category")
TEXT_COLUMNS: Final = ("prompt", "response", "attack", "language")
# What tells outputs to one prompt of one model from each other, and prompts of different sets.
_PROMPT_KEY: Final = ("benchmark", "attack", "language", "prompt")


@dataclass(frozen=True)
class Texts:
    """What is known of the outputs themselves, a row an item at most: `frame` has item_id and any other columns."""

    frame: pl.DataFrame

    def prompts(self, panel: Panel) -> NDArray[np.int64] | None:
        """(N,) number of each item's prompt, -1 where it is not known; None without prompts."""
        if "prompt" not in self.frame.columns:
            return None
        key = [name for name in _PROMPT_KEY if name in self.frame.columns]
        numbered = self.frame.filter(pl.col("prompt").is_not_null()).select(
            "item_id", number=pl.struct(key).rank("dense").cast(pl.Int64) - 1
        )
        placed = self._placed(panel, numbered)["number"]
        return None if placed.null_count() == placed.len() else placed.fill_null(-1).to_numpy()

    def lengths(self, panel: Panel) -> NDArray[np.int64] | None:
        """(N,) characters of each response; None where some are not known."""
        if "response" not in self.frame.columns:
            return None
        counted = self.frame.select("item_id", n=pl.col("response").str.len_chars().cast(pl.Int64))
        placed = self._placed(panel, counted)["n"]
        return None if placed.null_count() else placed.to_numpy()

    def of(self, items: Sequence[str]) -> dict[str, dict[str, str]]:
        """item -> its prompt and response, as far as there are any."""
        columns = [name for name in ("prompt", "response") if name in self.frame.columns]
        found = self.frame.filter(pl.col("item_id").is_in(list(items))).select("item_id", *columns)
        return {row.pop("item_id"): row for row in found.iter_rows(named=True)}

    def _placed(self, panel: Panel, table: pl.DataFrame) -> pl.DataFrame:
        return panel.items.select("item_id").join(table, on="item_id", how="left", maintain_order="left")


@dataclass(frozen=True)
class Examined:
    """`flags` is None for judges that give scores alone."""

    result: QuestionResult
    flags: Flags | None


def examine(
    panel: Panel,
    verdicts: pl.DataFrame,
    texts: Texts,
    *,
    by: Sequence[str] = (),
    evidence: pl.DataFrame | None = None,
    epsilon: float = EPSILON,
    sampling: Sampling,
) -> Examined:
    """All statistics of one panel.

    Parameters
    ----------
    verdicts : the whole verdict table, with the judges of other questions.
    texts : what is known of the outputs.
    evidence : verdicts of judges that are no part of the table but saw the same items (see `flag`).
    epsilon : of the alternative annotator test (see `humans`).
    """
    # The report says what the panel alone can tell: a reference that decided the flags would hide that.
    blind = replace(panel, gold=None)
    found = None
    if panel.question.labels:
        found = flag(
            blind,
            verdicts,
            seed=sampling.seed,
            evidence=evidence,
            reference=panel.gold,
            confidence=sampling.confidence,
        )
    truth = None if found is None else found.truth
    several = len(panel.judges) > 1
    worth = panel_worth(panel.names, truth) if truth is not None and several and has_choice(panel.codes) else None
    incoherent, refusal = _side(found, "incoherent"), _side(found, "refusal")
    prompts = texts.prompts(panel)
    result = QuestionResult(
        agreement=agree(panel, by=by, sampling=sampling, worth=worth),
        trust=None if truth is None else trust(panel, truth, incoherent=incoherent, sampling=sampling),
        humans=humans(panel, sampling=sampling, epsilon=epsilon),
        flags=None if found is None else found.summary,
        rates=corrected_rates(
            panel,
            None if truth is None else truth.consensus,
            None if truth is None else truth.posterior,
            sampling=sampling,
        ),
        conclusions=conclude(
            panel,
            sampling=sampling,
            pair_by=prompts,
            truth_posterior=None if truth is None else truth.posterior,
            votes=None if truth is None else truth.effective_votes,
            refusal=refusal,
            incoherent=incoherent,
            verdicts=verdicts,
        ),
        drivers=_drivers(panel, texts, prompts, incoherent, sampling) if several else None,
        service=service(verdicts, panel, sampling=sampling),
        stability=stability(verdicts, panel, sampling=sampling),
        plan=plan(panel, verdicts, truth=truth, sampling=sampling).result,
        disputed=() if found is None else _disputed(panel, found, texts),
    )
    return Examined(result, found)


def _side(found: Flags | None, what: str) -> NDArray[np.bool_] | None:
    """(N,) incoherent outputs, or refusals, as judges of those constructs see them; None where they see none."""
    if found is None:
        return None
    mask: NDArray[np.bool_] = getattr(found.evidence, what)
    return mask if mask.any() else None


def _drivers(
    panel: Panel,
    texts: Texts,
    prompts: NDArray[np.int64] | None,
    incoherent: NDArray[np.bool_] | None,
    sampling: Sampling,
) -> Drivers | None:
    features: dict[str, Any] = {
        name: panel.items[name] for name in ("category", "model") if name in panel.items.columns
    }
    lengths = texts.lengths(panel)
    if lengths is not None:
        features["length"] = lengths
    if incoherent is not None:
        features["incoherent"] = incoherent
    units = prompts if prompts is not None and panel.clusters is None and (prompts >= 0).all() else None
    return drivers(panel, features, clusters=units, sampling=sampling)


def _disputed(panel: Panel, flags: Flags, texts: Texts) -> tuple[DisputedOutput, ...]:
    """The items whose consensus is least certain, with what every judge said."""
    split = flags.items.filter((pl.col("n_votes") >= 2) & (pl.col("entropy") > 0))
    top = split.sort(["p_consensus_wrong", "entropy", "item_id"], descending=[True, True, False], nulls_last=True)
    top = top.head(N_DISPUTED)
    chosen = top["item_id"].to_list()
    said = flags.verdicts.filter(pl.col("item_id").is_in(chosen))
    of_item = said.group_by("item_id").agg("judge", pl.col("label").fill_null("(none)"))
    verdict_of: Mapping[str, dict[str, str]] = {
        item: dict(zip(judges, labels, strict=True)) for item, judges, labels in of_item.iter_rows()
    }
    about = texts.of(chosen)
    model_of: dict[str, str | None] = {}
    if "model" in panel.items.columns:
        model_of = dict(panel.items.filter(pl.col("item_id").is_in(chosen)).select("item_id", "model").iter_rows())
    return tuple(
        DisputedOutput(
            item_id=row["item_id"],
            model=model_of.get(row["item_id"]),
            consensus=row["consensus"],
            p_consensus_wrong=row["p_consensus_wrong"],
            verdicts={
                name: verdict_of[row["item_id"]][name] for name in panel.names if name in verdict_of[row["item_id"]]
            },
            reasons=tuple(row["reasons"]),
            **about.get(row["item_id"], {}),
        )
        for row in top.iter_rows(named=True)
    )
