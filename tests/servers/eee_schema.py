"""The JSON schema of Every Eval Ever, out of its own wheel (MIT), fetched once; its package wants Python 3.12.

The wheel goes into the folder `INTERJUDGE_TEST_CACHE`, else `~/.cache/interjudge-tests`. `NoSchemaError` says why it
cannot be had; tests skip with its words.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

WHEEL = "every_eval_ever-0.3.0-py3-none-any.whl"


class NoSchemaError(Exception):
    """The wheel cannot be fetched."""


def schema() -> dict[str, Any]:
    folder = Path(os.environ.get("INTERJUDGE_TEST_CACHE") or Path.home() / ".cache" / "interjudge-tests")
    path = folder / WHEEL
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version", "3.12", "--dest", str(folder), "every-eval-ever==0.3.0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode or not path.is_file():
            raise NoSchemaError(f"the wheel every-eval-ever cannot be fetched: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(path) as wheel:
        found: dict[str, Any] = json.loads(wheel.read("every_eval_ever/schemas/eval.schema.json"))
    return found
