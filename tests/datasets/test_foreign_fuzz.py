"""Malformed files of other tools: tables, or an `InputError` of one line. All of it: tests/bench/fuzz_readers.py."""

from __future__ import annotations

import contextlib
import gzip
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import BOMBS, NESTED, bomb, case, seeds

from interjudge.datasets.foreign import formats, read_found
from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.reference import read_reference
from interjudge.datasets.source import open_source
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

N_CASES = 300
READERS: tuple[Callable[..., pl.DataFrame], ...] = (read_outputs, read_verdicts, read_reference)


def ends_well(path: Path, name: str | None = None) -> bool:
    """Whether any reader made tables of it; what is raised instead must be one line."""
    made, said = False, list[str]()
    for read in READERS:
        try:
            read(path, format=name)
            made = True
        except InputError as error:
            said.append(str(error))
    assert all(one and "\n" not in one for one in said)
    return made


@pytest.mark.parametrize("part", range(6))
def test_mutated_files_end_in_tables_or_in_one_line(tmp_path: Path, part: int) -> None:
    """Both happen: a mutation may well leave a file that can be read."""
    files, outcomes = seeds(), set()
    for number in range(part, N_CASES, 6):
        name, data, what = case(number, files)
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(data)
        named = random.Random(number).choice(list(formats()))
        try:
            outcomes.add(ends_well(path))
            ends_well(path, named)
        except Exception as error:  # whatever it is, the case is what helps
            raise AssertionError(f"case {number}, {what}, as {named}: {error!r}") from error
    assert outcomes == {True, False}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
SHAPES: dict[str, Callable[[object], object]] = {
    "harmbench": lambda x: {"a": [{"test_case": x, "generation": "g", "label": x}], "b": x},
    "jailbreakbench": lambda x: {"parameters": {"model": x}, "jailbreaks": [{"prompt": x, "response": x}]},
    "alt-test": lambda x: {"a": {"i": x, "j": 1}, "b": {"i": 2}},
    "label-studio": lambda x: [{"id": x, "data": {"prompt": x}, "annotations": [{"completed_by": x, "result": x}]}],
    "argilla": lambda x: [{"id": x, "fields": {"prompt": "p"}, "responses": {"q": x}, "suggestions": {"q": x}}],
    "lm-eval": lambda x: dict.fromkeys(("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "acc"), x),
    "every-eval-ever": lambda x: dict.fromkeys(
        ("evaluation_id", "model_id", "evaluation_name", "sample_id", "input", "output", "evaluation"), x
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
@given(value=JSON)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_value_where_a_format_has_its_own_ends_well(tmp_path: Path, name: str, value: object) -> None:
    import json

    path = tmp_path / "any.json"
    path.write_text(json.dumps(SHAPES[name](value)))
    ends_well(path)
    ends_well(path, name)


@pytest.mark.parametrize("name", ["bomb.json", "bomb.csv.gz"])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before_it_does(tmp_path: Path, name: str) -> None:
    file, data, _ = bomb(name, megabytes=400)
    path = tmp_path / file
    path.write_bytes(data)
    assert len(data) < 2 << 20
    with pytest.raises(InputError, match="unpacks to more than 250 times its size"):
        open_source(path)


def test_a_log_whose_sample_unpacks_to_hundreds_of_megabytes_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai", reason="inspect_ai is an optional extra")
    file, data, _ = bomb(BOMBS[0])
    path = tmp_path / file
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"unpacks to 629,145,\d+ bytes"):
        read_outputs(path)


def test_a_table_that_compresses_well_is_no_bomb(tmp_path: Path) -> None:
    """A verdict table with one judge and one label, which becomes some 15 times smaller."""
    rows = "".join(f'{{"item_id": "item-{n:07d}", "judge": "one-judge", "label": "safe"}}\n' for n in range(400_000))
    path = tmp_path / "long.jsonl.gz"
    path.write_bytes(gzip.compress(rows.encode(), 6))
    assert 10 < len(rows) / path.stat().st_size < 100
    assert open_source(path).compression == "gzip"


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"fields":'])
def test_deep_nesting_is_refused(tmp_path: Path, opening: str) -> None:
    path = tmp_path / "deep.json"
    path.write_text(opening * NESTED)
    assert not ends_well(path)
    for name in ("harmbench", "argilla", "inspect", "lm-eval"):
        with contextlib.suppress(InputError):
            read_found(open_source(path), name)
