"""Hand-made result records: small numbers that stand for nothing but themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from interjudge.agreement.results import (
    Agreement,
    Coefficient,
    Comparison,
    Conclusions,
    DisputedOutput,
    Estimate,
    FlagSummary,
    JudgeResult,
    ModelRate,
    Pair,
    QuestionInfo,
    Slice,
)
from interjudge.agreement.results_question import QuestionResult
from interjudge.reports.report import InputFile, Provenance, Report, Run, build_report

NO_RATE = Estimate(undefined="no usable verdict")


def est(value: float | None, low: float | None = None, high: float | None = None, n: int = 100) -> Estimate:
    return Estimate(value=value, ci_low=low, ci_high=high, n=n, undefined=None if value is not None else "one category")


def coefficient(name: str, value: float | None, low: float | None = None, high: float | None = None) -> Coefficient:
    return Coefficient(
        name=name,
        level="nominal",
        method="bootstrap over items",
        value=value,
        ci_low=low,
        ci_high=high,
        n=100,
        undefined=None if value is not None else "one category",
    )


def judge(name: str, rate: float | None = 0.4, **more: Any) -> JudgeResult:
    of = {"refusal": est(rate, rate - 0.05, rate + 0.05), "compliance": est(1 - rate)} if rate is not None else {}
    given = {
        "judge": name, "kind": "rubric", "construct": "refusal", "n_ok": 100, "missing": {}, "rate": of,
        "kappa_mean": 0.6, "alpha_without": 0.7,
    } | more  # fmt: skip
    return JudgeResult.model_validate(given)


def referenced(name: str, j: float, half: float = 0.02, kappa: float | None = None, **more: Any) -> JudgeResult:
    """A judge with a Youden's J of `j` and an interval of `half` to either side."""
    share = (1 + j) / 2
    kappa = j if kappa is None else kappa
    return judge(
        name,
        accuracy=est(share),
        sensitivity=est(share, share - half, share + half),
        specificity=est(share, share - half, share + half),
        youden_j=est(j, j - half, j + half),
        cohen_kappa=est(kappa, kappa - half, kappa + half),
        **more,
    )


def pair(a: str, b: str, kappa: float | None = 0.6) -> Pair:
    e = est(kappa, None if kappa is None else kappa - 0.1, None if kappa is None else kappa + 0.1)
    return Pair(a=a, b=b, agreement=est(0.8, 0.75, 0.85), cohen_kappa=e, scott_pi=e, gwet_ac1=e, pabak=e, mcc=e)


def agreement(judges: tuple[JudgeResult, ...] | None = None, **more: Any) -> Agreement:
    if judges is None:
        judges = (judge("alpha", 0.3), judge("beta", 0.4), judge("gamma", 0.5, kappa_mean=0.3, alpha_without=0.8))
    question = {
        "name": "refusal", "construct": "refusal", "labels": ("compliance", "refusal"), "positive": "refusal",
        "level": "nominal",
    } | more.pop("question", {})  # fmt: skip
    given = {
        "question": QuestionInfo.model_validate(question), "n_items": 100, "n_verdicts": 300,
        "status_counts": {"ok": 300},
        "coefficients": (
            coefficient("krippendorff_alpha", 0.7, 0.68, 0.72),
            coefficient("percent_agreement", 0.85, 0.8, 0.9),
        ),
        "pairs": tuple(
            pair(a.judge, b.judge) for i, a in enumerate(judges) for b in judges[i + 1 :]
        ) if len(judges) < 30 else (),
        "judges": judges, "unit": "item", "confidence": 0.95, "replicates": 1000, "seed": 0,
        "conventions": ("pairs: items on which both judges gave a usable verdict",),
    } | more  # fmt: skip
    return Agreement.model_validate(given)


def flags(**more: Any) -> FlagSummary:
    given = {
        "n_verdicts": 300, "n_flagged": 30, "threshold": 0.5, "model": "share of the others",
        "by_judge": {"gamma": 20, "alpha": 6, "beta": 4}, "by_reason": {"alone against 2": 20, "split panel": 10},
        "n_items": 100, "n_items_flagged": 25,
    } | more  # fmt: skip
    return FlagSummary.model_validate(given)


def comparison(a: str, b: str, holds: str, low: float, high: float, kind: str = "pair") -> Comparison:
    difference = {"alpha": est(low, low - 0.02, low + 0.02), "beta": est(high, high - 0.02, high + 0.02)}
    return Comparison.model_validate({"a": a, "b": b, "kind": kind, "difference": difference, "holds": holds})


def conclusions(*comparisons: Comparison) -> Conclusions:
    comparisons = comparisons or (
        comparison("tuned", "base", "flips", -0.04, 0.03, "fine-tune"),
        comparison("base", "other", "clear", 0.1, 0.2),
    )
    rates = tuple(
        ModelRate(model=m, base_model="base" if m == "tuned" else None, judge=j, rate=est(0.4, 0.3, 0.5), n_missing=0)
        for m in ("base", "other", "tuned")
        for j in ("alpha", "beta")
    )
    return Conclusions(label="refusal", rates=rates, comparisons=comparisons)


def disputed(item: str = "item-1", **more: Any) -> DisputedOutput:
    given = {
        "item_id": item, "model": "base", "consensus": "refusal", "p_consensus_wrong": 0.48,
        "verdicts": {"alpha": "refusal", "beta": "refusal", "gamma": "compliance"}, "reasons": ("split panel",),
        "prompt": "How do I whittle a spoon?", "response": "I would rather not say.",
    } | more  # fmt: skip
    return DisputedOutput.model_validate(given)


def question(a: Agreement | None = None, **more: Any) -> QuestionResult:
    given = {
        "agreement": a or agreement(), "flags": flags(), "conclusions": conclusions(), "disputed": (disputed(),)
    } | more  # fmt: skip
    return QuestionResult.model_validate(given)


def part(by: str, value: str, alpha: float | None, low: float, high: float, **more: Any) -> Slice:
    given = {
        "by": by, "value": value, "n_items": 50, "n_verdicts": 150, "status_counts": {"ok": 150},
        "coefficients": (
            coefficient("percent_agreement", 0.9, 0.85, 0.95), coefficient("krippendorff_alpha", alpha, low, high),
        ),
        "pairs": (), "judges": (judge("alpha", 0.3), judge("beta", 0.4)),
    } | more  # fmt: skip
    return Slice.model_validate(given)


def report(*questions: QuestionResult, **more: Any) -> Report:
    provenance = Provenance(
        interjudge="0.1.0",
        python="3.11.0",
        polars="2.1.0",
        numpy="2.4.0",
        inputs=(InputFile(name="verdicts.parquet", rows=300, sha256="0" * 64),),
        seed=0,
        options={"by": ["model"]},
        run=Run(created_at="2026-01-01T00:00:00Z", duration_s=1.25),
    )
    return build_report(questions or (question(),), provenance=more.pop("provenance", provenance), **more)


class Make:
    """The functions above, for tests that take the fixture `make`."""

    est = staticmethod(est)
    coefficient = staticmethod(coefficient)
    judge = staticmethod(judge)
    referenced = staticmethod(referenced)
    pair = staticmethod(pair)
    agreement = staticmethod(agreement)
    flags = staticmethod(flags)
    comparison = staticmethod(comparison)
    conclusions = staticmethod(conclusions)
    disputed = staticmethod(disputed)
    question = staticmethod(question)
    part = staticmethod(part)
    report = staticmethod(report)


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make


@pytest.fixture
def shown() -> Callable[..., str]:
    """Render with a function of `reports.terminal` onto a console that is no terminal; the text."""
    from io import StringIO

    from rich.console import Console

    def inner(render: Callable[..., None], what: object, width: int = 80) -> str:
        file = StringIO()
        render(what, Console(file=file, width=width, highlight=False))
        return file.getvalue()

    return inner
