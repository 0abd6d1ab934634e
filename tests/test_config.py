"""The file of `interjudge run`: what may stand in it, and what is said where something may not."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from interjudge.config import Config, example, read_config
from interjudge.errors import InputError
from interjudge.judges.registry import get_judge

SHORT = 'outputs = "o.jsonl"\njudge = ["keyword:default"]\n'
CANARY = "canary-in-the-coal-mine-0123456789"


def config_of(folder: Path, text: str) -> Config:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        config_of(folder, text)
    assert str(caught.value).startswith(str(folder / "run.toml"))
    return str(caught.value)


# What is read.


def test_the_least_that_can_be_said(tmp_path: Path) -> None:
    config = config_of(tmp_path, SHORT)
    assert config.outputs_file == tmp_path / "o.jsonl"
    assert [judge.spec for judge in config.judge] == ["keyword:default"]
    assert config.store_file == tmp_path / "run.db"
    assert config.report_folder == tmp_path / "report"
    assert (config.question, config.reference, config.reference_file) == ([], None, None)
    assert (config.analysis.replicates, config.analysis.seed, config.analysis.confidence) == (1000, 0, 0.95)
    assert config.limits.repeats == 1


def test_paths_are_relative_to_the_file_and_absolute_ones_stay(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        f'outputs = {{ file = "../o.csv", limit = 3 }}\nstore = "{tmp_path}/x/s.db"\njudge = "keyword:default"\n'
        'reference = { file = "~/gold.csv", column = "g" }\n[report]\nfolder = "r"\n[limits]\nprices = "p.toml"\n',
    )
    assert config.outputs_file == tmp_path / ".." / "o.csv"
    assert config.outputs.limit == 3
    assert config.store_file == tmp_path / "x" / "s.db"
    assert config.reference_file == Path.home() / "gold.csv"
    assert config.report_folder == tmp_path / "r"
    assert config.prices_file == tmp_path / "p.toml"


def test_demo_is_the_bundled_set_and_a_path_named_demo_is_not(tmp_path: Path) -> None:
    config = config_of(tmp_path, 'outputs = "demo"\nreference = "demo"\njudge = ["keyword:default"]')
    assert config.outputs_file.name == "demo_outputs.parquet"
    assert config.reference_file is not None
    assert config.reference_file.name == "demo_reference.parquet"
    assert config.outputs_file.is_file()
    assert config.reference_file.is_file()
    assert config_of(tmp_path, SHORT.replace("o.jsonl", "./demo")).outputs_file == tmp_path / "demo"


def test_options_of_a_judge_stand_behind_its_name_as_on_the_command_line(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        """
        outputs = "o.jsonl"
        [[judge]]
        name = "openai/gpt-5-mini@harm5"
        base_url = "http://127.0.0.1:8080/v1"
        key_env = "MY_KEY"
        temperature = 0
        top_p = 0.5
        shuffle = true
        [[judge]]
        name = "column:is it safe?"
        called = "A & B"
        labels = ["yes", "no, never", "50 %"]
        [[judge]]
        name = "file:v.csv?judge=a"
        construct = "harm"
        """,
    )
    assert [judge.spec for judge in config.judge] == [
        "openai/gpt-5-mini@harm5?base_url=http://127.0.0.1:8080/v1&key_env=MY_KEY&temperature=0&top_p=0.5&shuffle=true",
        "column:is it safe??labels=yes,no%2C never,50 %25&name=A %26 B",
        "file:v.csv?judge=a&construct=harm",
    ]


@pytest.mark.parametrize("value", ["a&b", "100 %", "a,b", "1+1=2", "what?", "ünïcode", "a%26b", "#"])
def test_an_option_arrives_as_it_was_written(tmp_path: Path, value: str) -> None:
    config = config_of(
        tmp_path,
        f'outputs = "o.jsonl"\n[[judge]]\nname = "column:c"\ncalled = "{value}"\nlabels = ["{value}", "other"]\n',
    )
    judge = get_judge(config.judge[0].spec)
    assert judge.labels == (value, "other")
    assert judge.name == value


def test_a_question_says_what_the_options_of_agree_say(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        SHORT
        + """
        [[question]]
        construct = "harm"
        labels = ["safe", "unsafe"]
        positive = "unsafe"
        level = "ordinal"
        maps = ["refusal::refusal=safe", "refusal::compliance="]
        thresholds = { "column:tox" = 1 }
        require = ["alpha>=0.667", "agreement.ci_low>.5"]
        [analysis]
        by = ["model"]
        """,
    )
    spec = config.question[0].specified()
    assert (spec.construct, spec.labels, spec.positive, spec.level) == ("harm", ("safe", "unsafe"), "unsafe", "ordinal")
    assert [str(rule) for rule in spec.maps] == ["refusal::refusal=safe", "refusal::compliance="]
    assert spec.thresholds == {"column:tox": 1.0}
    assert [rule.name for rule in config.question[0].required()] == ["krippendorff_alpha", "percent_agreement"]


def test_one_question_needs_no_double_brackets(tmp_path: Path) -> None:
    assert len(config_of(tmp_path, SHORT + '[question]\nconstruct = "harm"').question) == 1


def test_a_judges_own_files_are_beside_the_config_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, elsewhere = tmp_path / "a", tmp_path / "b"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "list.txt").write_text("sorry\n")
    (folder / "run_config_judge.py").write_text("def f(outputs):\n    return ['x'] * len(outputs)\n")
    config = config_of(folder, 'outputs = "o.jsonl"\njudge = ["keyword:list.txt", "run_config_judge:f"]')
    monkeypatch.chdir(elsewhere)
    assert [judge.name for judge in config.judges()] == ["keyword:list.txt", "run_config_judge:f"]
    assert Path.cwd() == elsewhere


def test_the_example_is_a_config(tmp_path: Path) -> None:
    config = config_of(tmp_path, example())
    assert [judge.name for judge in config.judges()] == ["keyword:default", "keyword:prefix", "coherence:heuristic"]


def test_the_lines_that_the_example_comments_out_are_right_too(tmp_path: Path) -> None:
    lines = []
    for line in example().splitlines():
        bare = line.removeprefix("# ")
        is_code = bare != line and (bare.startswith("[[") or " = " in bare.split("#")[0])
        lines.append(bare if is_code else line)
    text = "\n".join(lines)
    # one of each of the alternatives
    for twice in ('outputs = "demo"', 'reference = "demo"', "reference = { column", "reference = { judge"):
        text = "\n".join(line for line in text.splitlines() if not line.startswith(twice))
    config = config_of(tmp_path, text)
    assert config.outputs.limit == 100
    assert [judge.name for judge in config.judges()][3:] == [
        "openai/gpt-5-mini@refusal3?temperature=0", "openai/my-model@harm5", "annotator 1",
    ]  # fmt: skip
    assert config.limits.max_requests == 10_000
    assert config.question[-1].thresholds == {"column:toxicity": 0.5}
    # every key that there is stands in the example
    for name, part in Config.model_fields.items():
        assert name in tomllib.loads(text), name
        keys = getattr(part.annotation, "model_fields", {})
        for key, field in keys.items():
            assert f"{field.alias or key} = " in example() or key == "full", (name, key)


# What a report keeps of it.


def test_a_report_keeps_names_of_files_and_no_name_of_a_key(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        """
        outputs = "/home/me/secret-project/o.jsonl"
        reference = "../labels/gold.csv"
        store = "/var/x/s.db"
        [[judge]]
        name = "openai/gpt-5-mini@harm5"
        key_env = "MY_KEY"
        temperature = 0
        [report]
        folder = "/srv/r"
        """,
    )
    assert config.recorded() == {
        "outputs": {"file": "o.jsonl"},
        "reference": {"file": "gold.csv"},
        "store": "s.db",
        "judge": [{"name": "openai/gpt-5-mini@harm5", "temperature": 0}],
        "report": {"folder": "r"},
    }


# What is refused: the file, the key and what was expected.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["key 'outputs': is missing", 'outputs = "FILE"']),
        ('outputs = "o"', ["key 'judge': is missing", "[[judge]]"]),
        ('outputs = "o"\njudge = []', ["key 'judge'", "at least one"]),
        ('outputs = "o"\n[[judge]]\ntemperature = 0', ["judge 1, key 'name': is missing"]),
        ('outputs = "o"\njudge = ["keyword:default", 3]', ["judge 2", "a table"]),
        ("outputs = 3\njudge = ['keyword:default']", ["key 'outputs'", "a table"]),
        (SHORT + "[analysis]\nseeds = 1", ["key 'analysis.seeds': unknown key (did you mean 'seed'?)", "replicates"]),
        (SHORT + "[analyses]\nseed = 1", ["key 'analyses': unknown key (did you mean 'analysis'?)"]),
        (SHORT + '[analysis]\nseed = "0"', ["key 'analysis.seed'", "found '0'", "a whole number"]),
        (SHORT + "[analysis]\nseed = -1", ["key 'analysis.seed'", "found -1", "greater than or equal to 0"]),
        (SHORT + "[analysis]\nseed = true", ["key 'analysis.seed'", "a whole number"]),
        (SHORT + "[analysis]\nconfidence = 95", ["key 'analysis.confidence'", "found 95", "less than 1"]),
        (SHORT + '[analysis]\nby = "model"', ["key 'analysis.by'", "found 'model'", "a list"]),
        (SHORT + "[analysis]\nby = [1]", ["key 'analysis.by', entry 1", "a text"]),
        (SHORT + "[limits]\nmax_cost = -0.5", ["key 'limits.max_cost'", "-0.5"]),
        (SHORT + "[limits]\nrepeats = 0", ["key 'limits.repeats'"]),
        (SHORT + "[limits]\nrpm = nan", ["key 'limits.rpm'"]),
        (SHORT + '[report]\nfolder = ""', ["key 'report.folder'", "not empty"]),
        (SHORT + '[[question]]\nconstruct = "a"\n[[question]]\nlables = []', ["question 2, key 'lables'", "'labels'"]),
        (SHORT + '[[question]]\nlevel = "weird"', ["question 1, key 'level'", "nominal"]),
        (SHORT + '[[question]]\nmaps = ["what"]', ["question 1, key 'maps'", "found what", "LABEL=NEW"]),
        (SHORT + '[[question]]\nrequire = ["alpha"]', ["question 1, key 'require'", "NAME>=NUMBER"]),
        (SHORT + '[[question]]\nthresholds = { a = "x" }', ["question 1, key 'thresholds.a'", "a number"]),
        (SHORT + '[[question]]\nlabels = [1, 2]', ["question 1, key 'labels', entry 1", "a text"]),
        (SHORT + "[reference]", ["key 'reference'", "one of file"]),
        (SHORT + '[reference]\nfile = "a"\njudge = "b"', ["key 'reference'", "one of file"]),
        (SHORT + '[reference]\ncolum = "a"', ["key 'reference.colum'", "did you mean 'column'?"]),
        ('outputs = "o"\n[[judge]]\nname = "a:b"\noptions = { x = 1 }', ["judge 1, key 'options'", "a text, a number"]),
        ("outputs = 'o'\njudge = 'x'\noutputs = 'p'", ["is not TOML", "Cannot overwrite"]),
        ("outputs == 'o'", ["is not TOML", "line 1"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_was_expected(tmp_path: Path, text: str, words: list[str]) -> None:
    told = refused(tmp_path, text)
    for word in words:
        assert word in told
    assert "expected" in told


def test_a_judge_that_cannot_be_made_is_named_by_its_place(tmp_path: Path) -> None:
    config = config_of(tmp_path, 'outputs = "o"\njudge = ["keyword:default", "keyword:defualt"]')
    with pytest.raises(InputError, match=r"run\.toml, judge 2: .*did you mean 'default'"):
        config.judges()


def test_no_file_a_folder_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(SHORT)
    with pytest.raises(InputError, match=r"no such file \(did you mean 'run.toml'\?\)"):
        read_config(tmp_path / "rum.toml")
    with pytest.raises(InputError, match="cannot be read: is a directory"):
        read_config(tmp_path)
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_config(tmp_path / "run.toml")


# Keys of services.


@pytest.mark.parametrize(
    "line",
    [
        'api_key = "X"',
        'key = "X"',
        'apikey = "X"',
        'OPENAI_API_KEY = "X"',
        'token = "X"',
        'password = "X"',
        'Authorization = "X"',
        'headers = { x = "X" }',
        'extra = { api_key = "X" }',
        'key_env = "X"',
        "key_env = 3",
        'base_url = "http://me:X@host/v1"',
        'base_url = "http://host/v1?api_key=X"',
        "# temporarily: sk-X",
        'temperature = "sk-X"',
        'x = "Bearer X"',
        'called = "hf_X"',
    ],
)
def test_a_key_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    told = refused(tmp_path, f'outputs = "o"\n[[judge]]\nname = "openai/m@harm5"\n{line.replace("X", CANARY)}\n')
    assert CANARY not in told
    assert "key_env" in told or "environment variable" in told


def test_a_key_inside_a_judges_name_is_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, f'outputs = "o"\njudge = ["openai/m@harm5?temperature=0&api_key={CANARY}"]')
    assert "judge 1: 'api_key' may not stand in this file" in told
    assert CANARY not in told


def test_the_value_of_a_secret_variable_is_refused_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_KEY", CANARY)
    told = refused(tmp_path, f'{SHORT}[report]\ntitle = "{CANARY}"')
    assert "line 4" in told
    assert "MY_SERVICE_KEY" in told
    assert CANARY not in told


def test_what_only_sounds_like_a_key_is_none(tmp_path: Path) -> None:
    text = """
        outputs = "task-force-outputs-2024-10-31-final-version-12.jsonl"
        [[judge]]
        name = "column:risk-assessment-2024"
        [[judge]]
        name = "openai/m@harm5"
        max_tokens = 5
        key_env = "MY_LONG_VARIABLE_NAME_FOR_THE_KEY"
        [[question]]
        thresholds = { monkey = 0.5 }
        [report]
        title = "Is it safe? api=no, token counts and keywords"
        """
    assert config_of(tmp_path, text).report.title is not None


def test_the_environment_is_left_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ), Path.cwd()
    config_of(tmp_path, SHORT).judges()
    assert (dict(os.environ), Path.cwd()) == before


def test_any_judge_may_be_called_otherwise(tmp_path: Path):
    """Families with an option for the name, and those without."""
    names = ["keyword:default", "coherence:heuristic", "moderation/omni-moderation-latest", "openai/m@harm5"]
    parts = "".join(f'[[judge]]\nname = "{name}"\ncalled = "judge {n}"\n' for n, name in enumerate(names))
    (tmp_path / "run.toml").write_text(f'outputs = "o.jsonl"\n{parts}')
    judges = read_config(tmp_path / "run.toml").judges()
    assert [judge.name for judge in judges] == [f"judge {n}" for n in range(4)]
    assert [judge.hash for judge in judges] == [get_judge(name).hash for name in names]
