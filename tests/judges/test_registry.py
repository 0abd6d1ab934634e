"""Judges by specification: families by entry point, built in or from another package, and functions by path."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from interjudge.errors import InputError
from interjudge.judges.base import Family, Judge
from interjudge.judges.registry import GROUP, broken, describe, families, get_judge, listing
from interjudge.judges.runner import score

PACKAGE = """
import polars as pl
from interjudge.errors import InputError
from interjudge.judges.base import Family, Judge

def make(name):
    if name not in ("loud", "quiet"):
        raise InputError(f"no shout {name!r}")
    def evaluate(outputs):
        upper = pl.col("response").str.to_uppercase() == pl.col("response")
        return outputs.select(label=pl.when(upper).then(pl.lit("loud")).otherwise(pl.lit("quiet")))
    return Judge(f"shout:{name}", "classifier", "volume", ("quiet", "loud"), evaluate, {"name": name})

FAMILY = Family(summary="Is it shouted?", make=make, names=("loud", "quiet"), usage="shout:NAME")
OPEN = Family(summary="any model", make=make)
NOT_ONE = make
RAISES = Family(summary="raises", make=lambda name: 1 / 0, names=("x",))
ANSWERS = Family(summary="answers no judge", make=lambda name: name, names=("x",))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a distribution with entry points on the path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(entry_points: dict[str, str], name: str = "shouting") -> None:
        (tmp_path / "shouting_for_test.py").write_text(PACKAGE)
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"{prefix} = {value}" for prefix, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")

    yield write
    sys.modules.pop("shouting_for_test", None)


def outputs(*responses: str) -> pl.DataFrame:
    return pl.DataFrame({"item_id": responses, "prompt": ["p"] * len(responses), "response": responses})


def test_the_built_in_families_come_in_by_the_same_door(repo_root: Path) -> None:
    """Those that pyproject.toml declares; where one is missing here, the package has to be installed again."""
    declared = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    assert {"keyword", "coherence", "column", "file"} <= set(declared)
    assert set(declared) <= set(families())


def test_a_third_partys_judge_is_found_listed_described_and_asked(install: Callable[..., None]) -> None:
    install({"shout": "shouting_for_test:FAMILY"})
    assert isinstance(families()["shout"], Family)
    judge = get_judge("shout:loud")
    assert score(outputs("AH", "oh"), [judge])["label"].to_list() == ["loud", "quiet"]
    lines = {line.name: line for line in listing() if "shouting" in line.source}
    assert list(lines) == ["shout:loud", "shout:quiet", "shout:NAME"]
    first = lines["shout:loud"]
    assert (first.kind, first.construct, first.summary) == ("classifier", "volume", "Is it shouted?")
    assert (first.hash, first.source) == (judge.hash, "shouting 1.2 (shouting_for_test:FAMILY)")
    told = describe("shout:loud")
    assert (told.name, told.labels, told.hash, told.identity) == (
        "shout:loud", ("quiet", "loud"), judge.hash, {"name": "loud"},
    )  # fmt: skip
    assert told.source == "shouting 1.2 (shouting_for_test:FAMILY)"


def test_a_slash_separates_as_a_colon_does_and_the_rest_may_hold_either(install: Callable[..., None]) -> None:
    install({"shout": "shouting_for_test:FAMILY"})
    assert get_judge("shout/loud").hash == get_judge("shout:loud").hash
    with pytest.raises(InputError, match=re.escape("no shout 'lo/ud:x@y'")):
        get_judge("shout:lo/ud:x@y")


def test_broken_packages_do_not_break_the_others_and_say_why(install: Callable[..., None]) -> None:
    install(
        {
            "absent": "not_there_for_test:FAMILY",
            "noattr": "shouting_for_test:FAMILI",
            "notone": "shouting_for_test:NOT_ONE",
            "bad prefix": "shouting_for_test:FAMILY",
            "shout": "shouting_for_test:FAMILY",
        }
    )
    assert "shout" in families()
    assert not {"absent", "noattr", "notone", "bad prefix"} & set(families())
    reasons = {name.split(" (")[0]: reason for name, reason in broken().items() if "shouting" in name}
    assert "ModuleNotFoundError: No module named 'not_there_for_test'" in reasons["absent"]
    assert "AttributeError" in reasons["noattr"]
    assert "is a function, not a Family" in reasons["notone"]
    assert "is no prefix" in reasons["bad prefix"]
    assert {line.name for line in listing() if line.problem and "shouting" in line.source} == set(reasons)
    with pytest.raises(InputError, match=r"the judges 'absent' of shouting cannot be used: .*not_there_for_test"):
        get_judge("absent:x")
    assert get_judge("shout:loud").name == "shout:loud"


def test_nobody_takes_a_prefix_of_ours(install: Callable[..., None]) -> None:
    install({"keyword": "shouting_for_test:FAMILY"})
    assert families()["keyword"].summary != "Is it shouted?"
    assert broken()["keyword (shouting)"] == "the prefix 'keyword' is taken by interjudge"


def test_a_family_that_misbehaves_is_said_in_words(install: Callable[..., None]) -> None:
    install({"raises": "shouting_for_test:RAISES", "answers": "shouting_for_test:ANSWERS"})
    with pytest.raises(InputError, match=re.escape("'raises:x' cannot be made; found ZeroDivisionError")):
        get_judge("raises:x")
    with pytest.raises(InputError, match=re.escape("'answers:x' cannot be made; found a str; expected a Judge")):
        get_judge("answers:x")
    problems = {line.name: line.problem for line in listing()}
    assert "ZeroDivisionError" in str(problems["raises:x"])
    assert "cannot be made" in str(problems["answers:x"])


def test_a_family_without_ready_made_judges_is_listed_by_its_prefix(install: Callable[..., None]) -> None:
    install({"open": "shouting_for_test:OPEN"})
    assert [line.name for line in listing() if "shouting" in line.source] == ["open:…"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("keyword", "no judge 'keyword' (did you mean 'keyword:default'?); expected one of "),
        ("keywrod:default", "no judge 'keywrod:default' (did you mean 'keyword:default'?); expected one of "),
        ("rubric:x", "no judge 'rubric:x'; expected one of "),
        ("rubric:x", "; and there is no module 'rubric', in the current folder or installed"),
        ("not.there:x", "no module 'not'; expected a module in the current folder or installed"),
        ("./mylist.txt", "no judge './mylist.txt' (did you mean 'keyword:./mylist.txt'?)"),
        ("mylist.toml", "(did you mean 'keyword:mylist.toml'?)"),
        ("runs/v.parquet?judge=a", "(did you mean 'file:runs/v.parquet?judge=a'?)"),
        ("keywrod/default", "no judge 'keywrod/default' (did you mean 'keyword/default'?); expected one of "),
        ("keyword:", "'keyword:' names nothing after its prefix; expected keyword:default"),
        ("shuot:loud", "(did you mean 'shout:loud'?)"),
        ("", "no judge ''; expected one of "),
        ("no such thing", "no judge 'no such thing'; expected one of "),
        ("a b:c", "no judge 'a b:c'; expected"),
        ("module:", "no judge 'module:'; expected"),
        (":x", "no judge ':x'; expected"),
    ],
)
def test_an_unknown_judge_is_answered_with_the_choices(install: Callable[..., None], spec: str, words: str) -> None:
    install({"shout": "shouting_for_test:FAMILY"})
    with pytest.raises(InputError, match=re.escape(words)):
        get_judge(spec)


def test_a_function_of_a_module_is_a_judge_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("functions_for_test.py").write_text("def one(outputs):\n    return ['x'] * len(outputs)\n")
    judge = get_judge("functions_for_test:one")
    assert (judge.name, judge.kind) == ("functions_for_test:one", "classifier")
    told = describe("functions_for_test:one")
    assert (told.summary, told.source) == ("a Python function", "functions_for_test:one")
    with pytest.raises(InputError, match="did you mean 'one'"):
        get_judge("functions_for_test:onne")
    sys.modules.pop("functions_for_test")


def test_the_imported_judges_are_made_by_their_specification(tmp_path: Path) -> None:
    assert get_judge("column:my label?kind=human").reads == ("my label",)
    (tmp_path / "v.csv").write_text("item_id,judge,label\na,ann,x\n")
    assert get_judge(f"file:{tmp_path / 'v.csv'}").name == "ann"


def test_every_ready_made_judge_can_be_made_and_no_two_share_a_name() -> None:
    lines = [line for line in listing() if line.hash is not None]
    assert len({line.name for line in lines}) == len(lines)
    for line in lines:
        assert isinstance(get_judge(line.name), Judge)
        assert describe(line.name).hash == line.hash


def test_asking_for_one_family_imports_no_other(install: Callable[..., None]) -> None:
    install({"shout": "shouting_for_test:FAMILY"})
    script = (
        "import sys\nfrom interjudge.judges.registry import get_judge\nget_judge('column:x')\n"
        "print('shouting_for_test' in sys.modules)"
    )
    where = {"PYTHONPATH": ":".join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-P", "-c", script], env=where, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
