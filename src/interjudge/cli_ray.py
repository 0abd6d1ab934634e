"""`interjudge score --engine ray`: many machines, or all processors of this one; verdicts as a folder of Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from interjudge import cli_screen as screen
from interjudge.cli_end import INTERRUPTED
from interjudge.errors import InputError, choices, printable

if TYPE_CHECKING:
    import polars as pl

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Cluster:
    """What was said of the engine on the command line."""

    engine: str
    workers: int | None
    worker_gpus: float
    address: str | None

    def is_ray(self, refused: Sequence[str]) -> bool:
        """Whether Ray is to be used; `refused` are the options in use that it does not have.

        Raises
        ------
        InputError : an engine that there is not, or options that do not go together.
        """
        if self.engine not in ENGINES:
            raise InputError(f"no engine {self.engine!r}", expected=f"one of {choices(ENGINES)}")
        if self.engine == "local":
            given = {"--workers": self.workers, "--worker-gpus": self.worker_gpus, "--ray-address": self.address}
            names = [name for name, value in given.items() if value]
            if names:
                raise InputError(f"{names[0]} belongs to --engine ray", expected=f"--engine ray {names[0]} ...")
            return False
        if refused:
            raise InputError(f"{refused[0]} does not go with --engine ray, which runs models and asks no service")
        return True


def default_parts(outputs: str, out: str | None) -> str:
    """Where the parts go: beside `out`, else in the current folder under the name of the outputs."""
    if out not in (None, "-"):
        return str(Path(out).with_suffix(".parts"))
    return f"{Path(outputs).stem if outputs != '-' else 'verdicts'}.parts"


def score_with_ray(
    outputs: str, specs: Sequence[str], parts: str, cluster: Cluster, *,
    repeats: int, redo: bool, limit: int | None, from_: str | None, quiet: bool,
) -> pl.DataFrame:  # fmt: skip
    """Run it; the verdicts on these outputs by these judges."""
    from interjudge.judges import ray_engine
    from interjudge.judges.parts import read_parts
    from interjudge.judges.registry import get_judge

    table = _read_here(outputs, limit, from_, quiet)
    done: dict[str, tuple[int, int]] = {}
    try:
        with screen.bars(quiet) as progress:
            said = ray_engine.score_with_ray(
                outputs if table is None else table, specs, parts, repeats=repeats, redo=redo, limit=limit,
                workers=cluster.workers, gpus=cluster.worker_gpus, address=cluster.address,
                progress=screen.counted(progress, done),
            )  # fmt: skip
    except KeyboardInterrupt:
        stored = ", ".join(f"stored {n:,} of {total:,} verdicts of {judge}" for judge, (n, total) in done.items())
        said_last = f"stopped; {stored or 'nothing was scored'}, in {parts}. The same command resumes."
        typer.echo(f"interjudge: {printable(said_last)}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for sentence in said:
        typer.echo(f"interjudge: {printable(sentence)}", err=True)
    judges = [get_judge(spec) for spec in specs]
    ids = ray_engine.item_ids(outputs if table is None else table, limit)
    return ray_engine.in_order(read_parts(parts, judges), ids, [judge.name for judge in judges], repeats)


def _read_here(outputs: str, limit: int | None, from_: str | None, quiet: bool) -> pl.DataFrame | None:
    """The outputs of a file in any format; None for a folder or an address, which the workers read themselves."""
    from interjudge.datasets.outputs import read_outputs

    if "://" in outputs or Path(outputs).is_dir():
        if from_ is not None:
            raise InputError("--from does not go with a folder or an address, which hold Parquet", file=outputs)
        return None
    with screen.working("reading the outputs", quiet=quiet):
        return read_outputs(outputs, limit=limit, format=from_, tell=screen.tell_found(quiet))
