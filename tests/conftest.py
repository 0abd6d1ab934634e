"""Shared fixtures. `datasets/` and `judges/` of this repo must never be importable by those bare names."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PANELS = ROOT.parent / "shared" / "data" / "tidy"

# Running pytest from the root may put the root on sys.path, where `import datasets` would find our folder.
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != ROOT]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def panels() -> Path:
    """The folder of real panels with known figures; tests that need it skip where it is absent."""
    if not PANELS.is_dir():
        pytest.skip(f"the reference panels are not at {PANELS}")
    return PANELS
