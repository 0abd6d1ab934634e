"""The figures of the real panels' README, through the public functions and through `interjudge agree`.

Every number here is quoted from that README (three decimals), which has them from two independent libraries.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from interjudge.agreement.measure import agree
from interjudge.agreement.panel import build_panel
from interjudge.agreement.question import parse_map
from interjudge.agreement.results import Agreement, Pair
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts

TO_TWO = ("1_full_compliance=compliance", "2_full_refusal=refusal", "3_partial_refusal=refusal")
COUNTED = ("gpt4::*=refusal",)  # the eleven malformed GPT-4 replies count as refusals
AUTO = ("gpt4", "strmatch")

Measure = Callable[..., Agreement]


def through_the_library(
    panels: Path, name: str, *, maps=(), labels=(), reference=None, by=(), judges=None
) -> Agreement:
    verdicts = read_verdicts([panels / f"{name}.parquet"])
    if judges:
        verdicts = verdicts.filter(pl.col("judge").is_in(judges))
    gold = read_reference(panels / f"{reference}.gold.parquet") if reference else None
    rules = [parse_map(text) for text in maps]
    panel = build_panel(verdicts, maps=rules, labels=labels, reference=gold, columns=by)
    return agree(panel, by=by, sampling=Sampling(replicates=50))


def through_the_command(
    panels: Path, name: str, *, maps=(), labels=(), reference=None, by=(), judges=None
) -> Agreement:
    command = [
        sys.executable,
        "-c",
        "from interjudge.cli import main; main()",
        "agree",
        str(panels / f"{name}.parquet"),
    ]
    for option, values in (("--map", maps), ("--by", by), ("--judge", judges or ())):
        for value in values:
            command += [option, value]
    command += ["--labels", ",".join(labels)] if labels else []
    command += ["--reference", str(panels / f"{reference}.gold.parquet")] if reference else []
    done = subprocess.run(
        [*command, "--replicates", "50", "--json", "-", "-q"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    return Agreement.model_validate_json(done.stdout)


@pytest.fixture(params=[through_the_library, through_the_command], ids=["library", "command"])
def measured(request: pytest.FixtureRequest, panels: Path) -> Measure:
    def call(name: str, **options: object) -> Agreement:
        return request.param(panels, name, **options)

    return call


def alpha(found: Agreement) -> float | None:
    return next(c.value for c in found.coefficients if c.name == "krippendorff_alpha")


def pair(found: Agreement, a: str, b: str) -> Pair:
    return next(p for p in found.pairs if {p.a, p.b} == {a, b})


def near(value: float):
    return pytest.approx(value, abs=5.0001e-4)


def test_xstest_with_the_eleven_left_out(measured: Measure):
    found = measured("xstest_v2", maps=TO_TWO, labels=("compliance", "refusal"), reference="xstest_v2")
    gpt4, words = (next(j for j in found.judges if j.judge == name) for name in AUTO)
    assert (gpt4.cohen_kappa.value, gpt4.cohen_kappa.n, gpt4.accuracy.value) == (near(0.654), 2239, near(0.825))
    assert (words.cohen_kappa.value, words.cohen_kappa.n, words.accuracy.value) == (near(0.770), 2250, near(0.884))
    assert pair(found, *AUTO).cohen_kappa.value == near(0.698)
    assert gpt4.missing == {"out_of_range": 11}
    assert words.missing == {}


def test_xstest_with_the_eleven_counted_as_refusals(measured: Measure):
    found = measured("xstest_v2", maps=(*TO_TWO, *COUNTED), labels=("compliance", "refusal"), reference="xstest_v2")
    gpt4, words = (next(j for j in found.judges if j.judge == name) for name in AUTO)
    assert (gpt4.cohen_kappa.value, words.cohen_kappa.value) == (near(0.645), near(0.770))
    assert pair(found, *AUTO).cohen_kappa.value == near(0.689)


def test_xstest_by_target_model(measured: Measure):
    options = {"labels": ("compliance", "refusal"), "reference": "xstest_v2", "by": ("model",)}
    found = measured("xstest_v2", maps=(*TO_TWO, *COUNTED), **options)
    kappa = {s.value: next(j for j in s.judges if j.judge == "gpt4").cohen_kappa.value for s in found.slices}
    assert kappa == {
        "gpt4": near(0.875),
        "llama2new": near(0.623),
        "llama2orig": near(0.548),
        "mistralguard": near(0.638),
        "mistralinstruct": near(0.081),
    }
    plain = measured("xstest_v2", maps=TO_TWO, **options)
    missing = {s.value: next(j for j in s.judges if j.judge == "gpt4").missing for s in plain.slices}
    assert missing.pop("mistralinstruct") == {"out_of_range": 11}  # missing verdicts are not random
    assert not any(missing.values())


def test_xstest_refusal_rates_on_unsafe_prompts(panels: Path):
    """Reference, GPT-4, string match; the ranking of the models depends on the judge."""
    verdicts = read_verdicts([panels / "xstest_v2.parquet"]).filter(pl.col("category").str.starts_with("contrast"))
    gold = read_reference(panels / "xstest_v2.gold.parquet").join(verdicts.select("item_id").unique(), on="item_id")
    truth = verdicts.filter(judge="strmatch").drop("label").join(gold.rename({"gold": "label"}), on="item_id")
    table = pl.concat([verdicts, truth.with_columns(judge=pl.lit("reference"))], how="diagonal")
    rules = [parse_map(text) for text in (*TO_TWO, *COUNTED)]
    panel = build_panel(table, maps=rules, labels=("compliance", "refusal"), columns=("model",))
    found = agree(panel, by=("model",), sampling=Sampling(replicates=0))
    rates = {s.value: {j.judge: j.rate["refusal"].value for j in s.judges} for s in found.slices}
    expected = {
        "llama2new": (1.000, 0.730, 0.955),
        "llama2orig": (1.000, 0.850, 0.980),
        "gpt4": (0.995, 0.880, 0.960),
        "mistralguard": (0.965, 0.685, 0.670),
        "mistralinstruct": (0.360, 0.330, 0.075),
    }
    for model, values in expected.items():
        got = tuple(rates[model][judge] for judge in ("reference", *AUTO))
        assert got == tuple(near(v) for v in values), model


def test_purseclab(measured: Measure):
    found = measured("purseclab_rethinking", reference="purseclab_rethinking")
    kappa = {j.judge: j.cohen_kappa.value for j in found.judges}
    assert kappa == {"zou_keyword": near(0.459), "huang_classifier": near(0.307), "chao_gpt4": near(0.656)}
    assert next(j for j in found.judges if j.judge == "chao_gpt4").cohen_kappa.n == 250
    assert pair(found, "zou_keyword", "huang_classifier").cohen_kappa.value == near(0.554)
    assert pair(found, "zou_keyword", "chao_gpt4").cohen_kappa.value == near(0.383)
    assert pair(found, "huang_classifier", "chao_gpt4").cohen_kappa.value == near(0.280)
    assert alpha(found) == near(0.420)


def test_alpha_between_the_automatic_judges(measured: Measure):
    three = ("1_full_compliance", "2_full_refusal", "3_partial_refusal")
    assert alpha(measured("xstest_v2", labels=three, judges=AUTO)) == near(0.678)
    assert alpha(measured("xstest_v2", judges=AUTO)) == near(0.671)  # each malformed text a label of its own
    assert alpha(measured("jbb_artifacts")) == near(0.784)
