"""What is built holds what is tracked, and takes no other project's name."""

import importlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

FOLDERS = {
    "src/interjudge": "interjudge",
    **{f: f"interjudge/{f}" for f in ("agreement", "datasets", "judges", "reports")},
}


def tracked(root: Path) -> list[str]:
    """The files git tracks, as they are in the working tree."""
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [name for name in listed.stdout.splitlines() if (root / name).exists()]


@pytest.fixture(scope="module")
def built(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist) built from the tracked files alone."""
    source = tmp_path_factory.mktemp("source")
    for name in tracked(repo_root):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((repo_root / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True, cwd=out)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_the_wheel_holds_exactly_the_tracked_files_of_the_package(built: tuple[Path, Path], repo_root: Path):
    names = {n for n in zipfile.ZipFile(built[0]).namelist() if ".dist-info/" not in n}
    expected = set()
    for name in tracked(repo_root):
        folder, _, file = name.rpartition("/")
        if folder in FOLDERS:
            expected.add(f"{FOLDERS[folder]}/{file}")
    assert names == expected


def test_the_sdist_holds_exactly_the_tracked_files(built: tuple[Path, Path], repo_root: Path):
    with tarfile.open(built[1]) as archive:
        names = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    made = {n for n in names if n in {"PKG-INFO", "setup.cfg"} or ".egg-info/" in n}
    assert names - made == set(tracked(repo_root))


@pytest.fixture(scope="module")
def beside(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our wheel and stand-in distributions named `datasets`, `judges`, `agreement`, `reports`."""
    target = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(built[0]).extractall(target)
    for name in ("datasets", "judges", "agreement", "reports"):
        (target / name).mkdir()
        (target / name / "__init__.py").write_text(f"OWNER = 'the other {name}'\n")
    return target


@pytest.mark.parametrize("name", ["datasets", "judges", "agreement", "reports"])
def test_other_peoples_packages_stay_importable_beside_ours(beside: Path, tmp_path: Path, name: str):
    code = (
        f"import {name}, interjudge.{name} as ours; assert {name}.OWNER == 'the other {name}'; "
        f"assert ours.__name__ == 'interjudge.{name}'; print(ours.__file__)"
    )
    env = {**os.environ, "PYTHONPATH": str(beside)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(beside) in done.stdout


@pytest.mark.parametrize("name", ["datasets", "judges", "agreement", "reports"])
def test_no_folder_of_ours_is_importable_by_its_bare_name(repo_root: Path, tmp_path: Path, name: str):
    ours = {repo_root / name, *(Path(place) for place in importlib.import_module(f"interjudge.{name}").__path__)}
    ours = {place.resolve() for place in ours}
    assert not ours & found_under(name, tmp_path)
    # with the checkout on the path it would be found: so the line above can fail
    assert ours & found_under(name, tmp_path, PYTHONPATH=str(repo_root))


def found_under(name: str, cwd: Path, **env: str) -> set[Path]:
    """The folders from which a fresh Python that uses our package would import `name`."""
    code = (
        f"import interjudge.{name}, importlib.util as u; s = u.find_spec('{name}')\n"
        "for place in (s.submodule_search_locations or []) if s else []: print(place)"
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | env
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=True)
    return {Path(line).resolve() for line in done.stdout.splitlines()}
