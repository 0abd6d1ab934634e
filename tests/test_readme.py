"""The README's tour, typed as written, in a fresh folder."""

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def first_line_then_stopped(command: list[str], folder: Path, env: dict[str, str]) -> None:
    """A command that goes on until Ctrl-C: it says where its page is, which is there, and ends in order."""
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/\S+/", running.stdout.readline())
        assert address
        with urllib.request.urlopen(address[0], timeout=30) as page:
            assert page.status == 200
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
        assert running.returncode == 0


def test_every_line_of_the_tour_works_as_written(repo_root: Path, tmp_path: Path):
    text = (repo_root / "README.md").read_text(encoding="utf-8")
    tour = text[text.index("## The tour") : text.index("## What to read next")]
    lines = ["interjudge demo"]
    for language, block in BLOCK.findall(tour):
        lines += [block] if language == "python" else block.strip().splitlines()
    assert len(lines) >= 9
    for line in lines:
        if line.startswith("interjudge"):
            command = [sys.executable, "-c", "from interjudge.cli import main; main()", *shlex.split(line)[1:]]
        else:
            command = [sys.executable, "-c", line]
        env = {
            **os.environ,
            "COLUMNS": "100",
            "PYTHONUNBUFFERED": "1",
            "BROWSER": "true",
        }  # the program that does nothing
        if line.startswith("interjudge review"):
            first_line_then_stopped(command, tmp_path, env)
            continue
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=env, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout.strip()
