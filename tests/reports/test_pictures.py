"""The pictures of a question: valid Vega-Lite that draws, the same figures as their table, names inert."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

from interjudge.agreement.analysis import QuestionSpec, Tables, analyse
from interjudge.agreement.results_question import QuestionResult
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.schema import VERDICT_COLUMNS
from interjudge.reports.drawing import short_names
from interjudge.reports.images import images
from interjudge.reports.picture import Picture
from interjudge.reports.pictures import pictures
from interjudge.reports.sections import sections

ALL = {
    "reliability", "pairs", "ability", "incoherent", "rates", "ranks", "fine-tunes", "calibration", "missing",
    "enough-judges", "enough-outputs", "enough-labels",
}  # fmt: skip
HOSTILE = (
    "a.b[0]", "datum['x']", "<script>alert(1)</script>", "\"};alert(1)//'", "${width}", "\u202egnp.exe", "__proto__",
    "constructor", "javascript:alert(1)", "x" * 600, "x" * 300 + "y" + "x" * 299, "line\nbreak", "image", "null",
)  # fmt: skip


def panel(
    judges: list[str], models: list[str], per_model: int = 12, labels: tuple[str, ...] = ("no", "yes"), seed: int = 0
) -> QuestionResult:
    """Judges that copy the truth with an error each, a judge of coherence, a reference, missing verdicts; the first
    model is the base of the others."""
    rng = np.random.default_rng(seed)
    rows, gold = [], []
    items = [f"{m}-{i}" for m in range(len(models)) for i in range(per_model)]
    truth = rng.random(len(items)) < np.repeat(rng.random(len(models)), per_model)
    for j, judge in enumerate(judges):
        said = truth ^ (rng.random(len(items)) < 0.1 + 0.02 * (j % 10))
        for i, item in enumerate(items):
            gone = j % 3 == 0 and rng.random() < 0.15
            rows.append((item, judge, "harm", "error" if gone else "ok", None if gone else labels[int(said[i])]))
    coherent = rng.random(len(items)) >= 0.3
    rows += [
        (item, "coherence judge", "coherence", "ok", "coherent" if fine else "incoherent")
        for item, fine in zip(items, coherent, strict=True)
    ]
    verdicts = pl.DataFrame(rows, schema=["item_id", "judge", "construct", "status", "label"], orient="row")
    verdicts = verdicts.with_columns(judge_kind=pl.lit("rubric"), repeat=pl.lit(0, pl.Int64))
    verdicts = verdicts.with_columns(
        (pl.col(column) if column in verdicts.columns else pl.lit(None)).cast(dtype).alias(column)
        for column, dtype in VERDICT_COLUMNS.items()
    )
    model = [models[int(item.split("-")[0])] for item in items]
    base = [None if m == models[0] else models[0] for m in model]
    outputs = pl.DataFrame({"item_id": items, "model": model, "base_model": base, "response": ["r"] * len(items)})
    verdicts = verdicts.join(outputs.select("item_id", "model", "base_model"), on="item_id", maintain_order="left")
    gold = pl.DataFrame({"item_id": items, "gold": [labels[int(t)] for t in truth]})
    spec = QuestionSpec(construct="harm", positive=labels[1])
    tables = Tables(verdicts, outputs, gold)
    return analyse(tables, questions=[spec], sampling=Sampling(replicates=40)).questions[0]


@pytest.fixture(scope="module")
def plain() -> QuestionResult:
    return panel([f"judge {i:02}" for i in range(len(HOSTILE))], ["root", "tuned", "other"])


@pytest.fixture(scope="module")
def hostile() -> QuestionResult:
    """The same panel under other names of judges, models and labels."""
    return panel(list(HOSTILE), ["<b>base</b>", "toString", "datum.model"], labels=("</text>", "valueOf"))


@pytest.fixture(scope="module")
def crowd() -> QuestionResult:
    return panel([f"worker {i}" for i in range(40)], [f"model {i}" for i in range(60)], per_model=3)


def by_name(question: QuestionResult) -> dict[str, Picture]:
    found = pictures(question)
    named = {picture.name: picture for picture in found}
    assert len(named) == len(found)
    return named


def everything(of: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of everything inside, values of lists under the key of the list."""
    yield key, of
    if isinstance(of, dict):
        for name, inner in of.items():
            yield from everything(inner, name)
    elif isinstance(of, list | tuple):
        for inner in of:
            yield from everything(inner, key)


def expressions(spec: Any) -> list[str]:
    """Everything in a spec that Vega evaluates, its numbers taken out."""
    found = [v for key, v in everything(spec) if key in ("calculate", "filter", "test", "expr", "labelExpr")]
    return [re.sub(r"\d+", "0", text) for text in found if isinstance(text, str)]


def check(picture: Picture) -> str:
    """Valid, and drawn without a warning; the SVG."""
    alt = pytest.importorskip("altair")
    vl_convert = pytest.importorskip("vl_convert")
    spec = json.loads(json.dumps(picture.spec, allow_nan=False))
    alt.Chart.from_dict(spec, validate=True)
    assert spec["width"] == "container"
    assert "title" not in spec
    assert len(json.dumps(spec)) < 500_000  # ten thousand outputs more would not change it
    svg: str = vl_convert.vegalite_to_svg(spec | {"width": 700}, allowed_base_urls=[])
    assert svg.startswith("<svg")
    return svg


def test_a_question_with_everything_has_every_picture(plain: QuestionResult) -> None:
    found = by_name(plain)
    assert set(found) == ALL
    titles = {section.title for section in sections(plain, 12)}
    for picture in found.values():
        assert picture.section in titles
        assert picture.caption.endswith(".")
        assert picture.title == picture.table.title
        assert {len(row) for row in picture.table.rows} == {len(picture.table.columns)}


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_picture_is_valid_and_draws(plain: QuestionResult, crowd: QuestionResult, name: str) -> None:
    """Against the schema of Vega-Lite that Altair carries; 40 judges and 60 models too."""
    check(by_name(plain)[name])
    if name in by_name(crowd):
        check(by_name(crowd)[name])


def test_names_are_values_and_never_expressions_or_fields(plain: QuestionResult, hostile: QuestionResult) -> None:
    """The same panel under hostile names has the same expressions, field names and keys."""
    for name, picture in by_name(hostile).items():
        other = by_name(plain)[name]
        assert expressions(picture.spec) == expressions(other.spec)
        for of in (picture.spec, other.spec):
            assert set(re.findall(r"datum\.(\w+)", " ".join(expressions(of)))) <= FIELDS
        fields = [[v for key, v in everything(p.spec) if key in ("field", "fields")] for p in (picture, other)]
        assert fields[0] == fields[1]
        keys = [{key for key, _ in everything(p.spec)} for p in (picture, other)]
        assert keys[0] == keys[1]


FIELDS = {"label", "low", "high", "value", "chosen", "strong", "judge", "shown"}


def test_hostile_names_are_drawn_as_text(hostile: QuestionResult) -> None:
    for picture in by_name(hostile).values():
        svg = check(picture)
        assert "<script" not in svg
        assert "<b>" not in svg
        assert "\u202e" not in svg
    svg = check(by_name(hostile)["ability"])
    for shown in ("a.b[0]", "datum['x']", "&lt;script&gt;al…alert(1)&lt;/script&gt;"[:10], "__proto__", "constructor"):
        assert shown in svg


def test_names_that_look_alike_when_shortened_stay_apart() -> None:
    found = short_names(["x" * 600, "x" * 300 + "y" + "x" * 299, "", "short"])
    assert len(set(found.values())) == 4
    assert max(len(name) for name in found.values()) <= 24
    assert found["short"] == "short"


def drawn(picture: Picture) -> Counter[str]:
    """The figures of a picture's data as they are written."""
    values = picture.spec["data"]["values"]
    if picture.name == "pairs":  # each pair stands on both sides of the diagonal
        keys = ("agreement_figure", "kappa_figure", "ac1_figure")
        doubled = Counter(v[key] if not v[key].startswith("undefined") else "—" for v in values for key in keys)
        return Counter({text: n // 2 for text, n in doubled.items()})
    key = "rank" if picture.name == "ranks" else "figure"
    return Counter("—" if str(v[key]).startswith("—") else str(v[key]) for v in values)


# The columns of the tables that hold no figure of the chart.
BESIDE = ("judge", "and judge", "model", "coefficient", "outputs", "against", "fine-tune", "base", "signs", "p_wrong",
          "verdicts", "predicted wrong", "judges", "outputs of each model", "helped by the verdicts of")  # fmt: skip


@pytest.mark.parametrize("which", ["plain", "hostile", "crowd"])
def test_the_table_holds_the_figures_that_are_drawn(which: str, request: pytest.FixtureRequest) -> None:
    for picture in by_name(request.getfixturevalue(which)).values():
        at = [i for i, c in enumerate(picture.table.columns) if c.head not in BESIDE and "too often" not in c.head]
        written = Counter(row[i].text for row in picture.table.rows for i in at if row[i].text)
        found = drawn(picture)
        if picture.name in ("ranks", "missing"):  # what has no figure is left white there, and a dash in the table
            written.pop("—", None)
        assert written == found, picture.name


def test_judges_have_one_colour_and_shape_in_all_pictures(plain: QuestionResult, crowd: QuestionResult) -> None:
    for question in (plain, crowd):
        seen: dict[str, set[str]] = {}
        for picture in by_name(question).values():
            for _, channel in everything(picture.spec):
                scale = channel.get("scale", {}) if isinstance(channel, dict) else {}
                if scale and channel.get("field") == "judge" and str(scale.get("range", " ")[0]).startswith("#"):
                    for judge, colour in zip(scale["domain"], scale["range"], strict=True):
                        seen.setdefault(judge, set()).add(colour)
    assert seen
    assert {len(colours) for colours in seen.values()} == {1}


def test_the_same_results_make_the_same_pictures(plain: QuestionResult) -> None:
    again = QuestionResult.model_validate_json(plain.model_dump_json())
    assert json.dumps([p.spec for p in pictures(again)]) == json.dumps([p.spec for p in pictures(plain)])


def test_a_crowd_is_cut_with_a_word(crowd: QuestionResult) -> None:
    found = by_name(crowd)
    rates = found["rates"]
    assert rates.table.gap is not None
    assert rates.table.gap[1] + len(rates.table.rows) == 60
    assert any("26 more judges not shown" in note for note in rates.table.notes)  # 14 of 40 are
    assert rates.spec["height"] <= 1_800
    assert "20 more models not shown: those with the largest shares are" in found["missing"].table.notes


def test_one_judge_and_one_model_make_no_comparison() -> None:
    found = by_name(panel(["alone"], ["only"]))
    assert not {"pairs", "reliability", "ranks", "fine-tunes"} & set(found)
    for picture in found.values():
        check(picture)


def test_what_is_undefined_is_said_and_never_drawn_as_zero(make: Any) -> None:
    gone = make.coefficient("krippendorff_alpha", None)
    a = make.agreement(coefficients=(gone, make.coefficient("percent_agreement", 1.0, 1.0, 1.0)))
    nobody = make.pair("alpha", "beta", None)
    a = a.model_copy(update={"pairs": (nobody, *a.pairs[1:])})
    found = by_name(make.question(a))
    reliability = found["reliability"]
    assert reliability.spec["data"]["values"][0]["value"] is None
    assert "undefined (one category)" in reliability.caption
    assert "have a dash" in reliability.caption or "has a dash" in reliability.caption
    assert reliability.table.rows[0][1].text == "—"
    assert reliability.table.notes[0].startswith("— one category")
    assert "1 pair has none and shows a dash" in found["pairs"].caption
    for picture in found.values():
        svg = check(picture)
        assert "NaN" not in svg
        assert ">undefined" not in svg
    assert "—" in check(reliability)
    values = [v for v in found["pairs"].spec["data"]["values"] if v["kappa"] is None]
    assert len(values) == 2
    assert {v["kappa_figure"] for v in values} == {"undefined: one category"}


def test_a_fine_tune_with_both_signs_is_marked(plain: QuestionResult) -> None:
    assert plain.conclusions is not None
    found = plain.conclusions.fine_tunes
    assert found is not None
    first, *rest = found.changes
    signs = {"n_up": 1, "n_down": 1, "n_clear_up": 1, "n_clear_down": 1}
    none = {"n_up": 1, "n_down": 0, "n_clear_up": 0, "n_clear_down": 0}
    changes = [first.model_copy(update=signs), *(c.model_copy(update=none) for c in rest)]
    conclusions = plain.conclusions.model_copy(update={"fine_tunes": found.model_copy(update={"changes": changes})})
    tunes = by_name(plain.model_copy(update={"conclusions": conclusions}))["fine-tunes"]
    rows = {v["model"] for v in tunes.spec["data"]["values"]}
    assert [row for row in rows if "\n" in row] == [f"{first.model}\nmixed, clearly"]  # beneath its name
    assert ">mixed, clearly<" in check(tunes)


def test_the_heat_map_offers_three_measures(plain: QuestionResult) -> None:
    (select,) = by_name(plain)["pairs"].spec["params"]
    assert select["bind"]["options"] == ["kappa", "agreement", "ac1"]
    assert select["value"] == "kappa"
    values = by_name(plain)["pairs"].spec["data"]["values"]
    assert set(select["bind"]["options"]) <= set(values[0])
    assert len(values) == 14 * 13


def test_the_heat_map_orders_judges_by_family(plain: QuestionResult) -> None:
    assert plain.agreement.worth is not None
    by_family = [name for family in plain.agreement.worth.families for name in family.judges]
    rows = by_name(plain)["pairs"].spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert [row.rsplit(" · ", 1)[0] for row in rows] == by_family


def test_without_a_reference_ability_is_said_to_be_estimated(plain: QuestionResult) -> None:
    assert plain.trust is not None
    judges = tuple(j.model_copy(update={"reference": None}) for j in plain.trust.judges)
    blind = plain.model_copy(update={"trust": plain.trust.model_copy(update={"judges": judges})})
    told = by_name(blind)["ability"]
    assert "estimated" in told.title
    assert "without a reference" in told.caption
    assert "reference" in by_name(plain)["ability"].title


def test_images_have_names_of_ours_and_the_same_bytes_twice(make: Any, hostile: QuestionResult) -> None:
    pytest.importorskip("vl_convert")
    one = images(make.report(hostile))
    assert [image.name for image in one] == ["reliability.png", "pairs.png", "rates.png"]
    several = images(make.report(make.question(), hostile))
    assert all(re.fullmatch(r"[12]-(reliability|pairs|rates)\.png", image.name) for image in several)
    before = copy.deepcopy(one[0].picture.spec)
    first = one[0].png()
    assert first.startswith(b"\x89PNG")
    assert one[0].png() == first
    assert one[0].picture.spec == before
