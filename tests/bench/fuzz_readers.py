"""Malformed files over all readers: each must end in tables or in an `InputError` of one line.

    python tests/bench/fuzz_readers.py --cases 10000

Cases are mutations of a file of every format (tests/servers/mutations.py), numbered and repeatable: `--only N` runs
one. Each is read as outputs, as verdicts and as a reference, by its content and, every fourth, as a format drawn at
random, and converted. Counted as a failure: any other exception, more than 5 seconds, a worker that dies. The peak
memory of the workers is printed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

from mutations import BOMBS, bomb, case, real_seeds, seeds

from interjudge.datasets.foreign import formats, read_found, understood
from interjudge.datasets.inspect_scores import scores_text
from interjudge.datasets.outputs import read_outputs
from interjudge.datasets.reference import read_reference
from interjudge.datasets.source import open_source
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError

SLOW_S = 5.0
MOST_MEMORY = 6 << 30
CHUNK = 250


def read_all(path: Path, number: int) -> str:
    """Read the file in every way there is; returns "tables" or "refused". Anything but `InputError` goes through."""
    named = random.Random(number).choice(list(formats())) if number % 4 == 0 else None
    outcome = "refused"
    for read in (read_outputs, read_verdicts, read_reference, _convert):
        for name in dict.fromkeys((None, named)):
            try:
                read(path, format=name)
                outcome = "tables"
            except InputError as error:
                if "\n" in str(error) or not str(error):
                    raise AssertionError(f"a message of several lines or none: {error!r}") from error
    return outcome


def _convert(path: Path, format: str | None = None) -> None:
    found = read_found(open_source(path), format)
    if found is None:
        return
    understood(found)
    if found.verdicts is not None:
        scores_text(found.verdicts, lines=True)


def worker(first: int, last: int, real: bool) -> None:
    """Run the cases first..last-1 (from -n on: the bombs); a line of JSON a case."""
    warnings.simplefilter("error")
    files = real_seeds() if real else seeds()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))  # a reader gone wild must not take the machine
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            name, data, what = bomb(BOMBS[number]) if number < 0 else case(number, files)
            path = Path(folder) / name
            path.write_bytes(data)
            started, cpu = time.monotonic(), time.process_time()
            try:
                outcome = read_all(path, number)
            except BaseException as error:  # noqa: BLE001  (polars' panics are no Exception)
                outcome = f"{type(error).__name__}: {str(error)[:200]}"
            path.unlink()
            # on a busy machine the clock says little; CPU time counts all threads
            seconds = min(time.monotonic() - started, time.process_time() - cpu)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(json.dumps([number, what, outcome, round(seconds, 2), memory]), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--real", action="store_true", help="mutate the files in ../shared/data/raw instead")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.worker:
        worker(*said.worker, said.real)
        return 0
    if said.only is not None:
        worker(said.only, said.only + 1, said.real)
        return 0
    last = said.first + said.cases
    chunks = [(a, min(a + CHUNK, last)) for a in range(said.first, last, CHUNK)]
    chunks = [(a, a + 1) for a in range(-len(BOMBS), 0)] + chunks
    outcomes: Counter[str] = Counter()
    failures, memory, slowest = [], 0, (0.0, "")
    while chunks:
        first, end = chunks.pop(0)
        command = [sys.executable, __file__, "--worker", str(first), str(end), *(["--real"] if said.real else [])]
        run = subprocess.run(command, capture_output=True, text=True, timeout=600 + 20 * CHUNK, check=False)
        lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("[")]
        for number, what, outcome, seconds, peak in lines:
            outcomes[outcome if outcome in ("tables", "refused") else "failed"] += 1
            memory, slowest = max(memory, peak), max(slowest, (seconds, what))
            if outcome not in ("tables", "refused") or seconds > SLOW_S or peak > 1024:
                failures.append((number, what, outcome, seconds, peak))
                print(*failures[-1], sep=" | ", flush=True)
        if len(lines) < end - first:
            died = first + len(lines)
            failures.append((died, "the worker died", f"{run.returncode} {run.stderr[-300:]}", 0.0, 0))
            print(*failures[-1], sep=" | ", flush=True)
            if died + 1 < end:
                chunks.insert(0, (died + 1, end))
    print(f"{sum(outcomes.values()):,} cases: {dict(outcomes)}; {len(failures)} failures; peak memory {memory:,} MiB;")
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]})")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
