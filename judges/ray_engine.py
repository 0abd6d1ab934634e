"""Scoring on many machines: the same batches by the same code, in stateful actors of Ray Data.

Each actor makes its judge once (a model is loaded once), scores batches through `judges.runner.score`, and writes the
verdicts on each batch as one Parquet file into the folder of parts: beside its place first, then renamed, under a name
that follows from the judge and the outputs, so that a batch that is scored twice (its actor was killed) is kept once.
A run resumes from the parts. Outputs and parts may lie wherever pyarrow can read and write (a path, `s3://`, `gs://`).
"""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from interjudge.errors import InputError, InterjudgeError, choices, did_you_mean
from interjudge.judges.base import Judge
from interjudge.judges.distinct import output_hash
from interjudge.judges.parts import HASH, done_outputs, filesystem_of, full_path, mark_used, write_part
from interjudge.judges.registry import get_judge
from interjudge.judges.runner import score

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[str, int, int], None]

LEAST_ROWS: Final = 16  # outputs in a part, at least: a file for every output is too many
MOST_ROWS: Final = 512  # and at most: what is lost with a machine
_INSTALL: Final = "pip install 'interjudge[ray]'"
_CONNECT_S: Final = 10.0


def score_with_ray(
    outputs: pl.DataFrame | str,
    specs: Sequence[str],
    parts: str | Path,
    *,
    repeats: int = 1,
    redo: bool = False,
    limit: int | None = None,
    workers: int | None = None,
    gpus: float = 0,
    address: str | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Score `outputs` with the judges that `specs` name, on a Ray cluster or on this machine's own processors.

    Parameters
    ----------
    outputs : a table with `item_id` (`read_outputs`), or where Parquet files lie: a file or folder, a path or an
        address (``s3://bucket/outputs/``). Those need an `item_id` of their own.
    parts : the folder where verdicts go and from which a run resumes, a path or an address; see `read_parts`.
    redo : score everything again; `read_parts` then answers the newer verdicts.
    workers : actors for each judge; by default one for each processor but one, or for each `gpus` of the cluster.
    gpus : of each actor; a share (``.5``) puts two on one.
    address : of a running cluster, as `ray.init` takes it; else `RAY_ADDRESS`, else a cluster of this machine alone,
        which ends with the call.
    progress : called with (judge name, done, total) in verdicts.

    Returns
    -------
    A sentence for each thing worth knowing (parts that could not be read).

    Raises
    ------
    InputError : Ray is not installed, or sees no GPU for `gpus`; a judge is behind a network or cannot be made; the
        outputs cannot be read, have no `item_id`, or the same twice; `parts` is a file, among the outputs, or cannot be
        written.
    InterjudgeError : the cluster cannot be reached, or it failed.
    """
    judges = [_local(get_judge(spec), spec) for spec in specs]
    for judge in judges:
        _check_columns(outputs, judge)
    _check_parts(parts, outputs)
    if isinstance(outputs, pl.DataFrame):
        outputs = outputs.with_columns(pl.col("item_id").cast(pl.String))
    ids = item_ids(outputs, limit)
    for judge in judges:  # before Ray is started: a folder that cannot be written is said at once
        mark_used(parts, judge)
    said: list[str] = []
    with _Cluster(address) as cluster:
        for spec, judge in zip(specs, judges, strict=True):
            done, unread = done_outputs(parts, judge, repeats)
            if unread:
                which = "1 part" if unread == 1 else f"{unread:,} parts"
                said.append(f"{judge.name}: {which} in {parts} could not be read, set aside; the outputs scored again")
            left = ids if redo or done.is_empty() else _left(outputs, ids, judge, done)
            total, at = ids.len() * repeats, (ids.len() - left.len()) * repeats
            if progress is not None:
                progress(judge.name, at, total)
            if left.is_empty():
                continue
            for n in cluster.run(outputs, spec, judge, str(parts), left, repeats, workers, gpus):
                at += n
                if progress is not None:
                    progress(judge.name, min(at, total), total)
    return said


def in_order(verdicts: pl.DataFrame, ids: pl.Series, judges: Sequence[str], repeats: int) -> pl.DataFrame:
    """The verdicts on these outputs by these judges, in the order in which `runner.score` has them."""
    items = pl.DataFrame({"item_id": ids, "place": range(ids.len())}, schema={"item_id": pl.String, "place": int})
    names = list(dict.fromkeys(judges))
    ranks = pl.DataFrame({"judge": names, "rank": range(len(names))}, schema={"judge": pl.String, "rank": int})
    asked = verdicts.filter(pl.col("repeat") < repeats).join(items, on="item_id").join(ranks, on="judge")
    return asked.sort("rank", "place", "repeat").drop("rank", "place")


class Scorer:
    """One actor: the judge, made once, and a call for each batch, which answers how many verdicts it wrote."""

    def __init__(self, spec: str, judge_hash: str, parts: str, repeats: int) -> None:
        self.judge, self.parts, self.repeats = get_judge(spec), parts, repeats
        if self.judge.hash != judge_hash:
            raise InterjudgeError(f"judge {spec!r} is another one on this machine: other files or versions lie here")

    def __call__(self, batch: pa.Table) -> pa.Table:
        import pyarrow as pa

        outputs = pl.DataFrame(pl.from_arrow(batch))
        verdicts = score(outputs, [self.judge], repeats=self.repeats)
        hashes = outputs.select("item_id", output_hash(outputs, self.judge.reads).alias(HASH))
        verdicts = verdicts.join(hashes, on="item_id", how="left", maintain_order="left")
        write_part(verdicts, f"{self.parts.rstrip('/')}/{self.judge.hash}", outputs["item_id"])
        return pa.table({"written": [verdicts.height]})


class _Cluster:
    """A running Ray: the one at an address, or one of this machine that ends with the block."""

    def __init__(self, address: str | None) -> None:
        self.address = address

    def __enter__(self) -> _Cluster:
        here = self._here = self.address is None and "RAY_ADDRESS" not in os.environ
        if here:  # a cluster of one machine listens on 127.0.0.1 alone, as Ray does elsewhere than on Linux
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it sends nothing anywhere
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # and leaves the accelerators' settings alone
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong comes as an exception
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise InputError("--engine ray needs Ray, which is not installed", expected=_INSTALL) from error
        if self.address is not None:
            _refuse_dead(self.address)
        self._own = not ray.is_initialized()  # a notebook's own stays
        local: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if here else {}
        try:
            self._words = redirect_stdout(sys.stderr)  # Ray prints of dead workers; standard output is for verdicts
            self._words.__enter__()
            ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True, **local)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            self._words.__exit__(None, None, None)
            raise InterjudgeError(f"Ray cannot be reached: {str(error).splitlines()[0]}") from error
        for name in ("ray.data", "ray.data._internal.util"):
            logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", "The minimum number of concurrent actors", UserWarning)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        if self._own:
            ray.shutdown()
        self._words.__exit__(None, None, None)

    def run(
        self, outputs: pl.DataFrame | str, spec: str, judge: Judge, parts: str, left: pl.Series,
        repeats: int, workers: int | None, gpus: float,
    ) -> Iterator[int]:  # fmt: skip
        """Score what is left with one judge; yields how many verdicts each batch wrote."""
        import ray
        import ray.exceptions

        rows = min(max(judge.batch_size, LEAST_ROWS), MOST_ROWS)
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's own
        if gpus and self._here and resources.get("GPU", 0) < gpus:  # a cluster elsewhere may grow
            raise InputError(f"--worker-gpus {gpus:g}: Ray sees no such GPU here", expected="workers without GPUs")
        n = min(workers or _workers(resources, gpus), math.ceil(left.len() / rows))  # none to make a judge for nothing
        share = None if gpus else _share(resources.get("CPU", 1), n)
        data: ray.data.Dataset
        needed = ["item_id", *judge.reads]
        if isinstance(outputs, pl.DataFrame):
            table = outputs.filter(pl.col("item_id").is_in(left.implode())).select(needed)
            data = ray.data.from_arrow([part.to_arrow() for part in table.iter_slices(rows)])
        else:
            wanted = ray.put(left)
            data = ray.data.read_parquet(full_path(outputs), columns=needed)
            data = data.map_batches(lambda batch: _only(batch, ray.get(wanted)), batch_format="pyarrow")
            data = data.repartition(target_num_rows_per_block=rows)
        scored = data.map_batches(
            Scorer,
            fn_constructor_args=(spec, judge.hash, full_path(parts), repeats),
            batch_size=rows,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=n),
            num_cpus=share,
            num_gpus=gpus or None,
        )
        try:
            for row in scored.iter_rows():
                yield int(row["written"])
        except (ray.exceptions.RayError, OSError) as error:
            raise InterjudgeError(f"judge {judge.name!r}: {_cause(error)}") from error


def _workers(resources: dict[str, float], gpus: float) -> int:
    """One for each share of a GPU; without GPUs a processor is left for what reads the outputs."""
    if gpus:
        return max(1, int(resources.get("GPU", 0) / gpus))
    return max(1, int(resources.get("CPU", 1)) - 1)


def _share(cpus: float, workers: int) -> float:
    """Of a processor for each actor: a whole one, unless they would leave none for what reads the outputs."""
    return 1.0 if workers < cpus else round(max(cpus - 1, 0) / workers, 3)


def _cause(error: BaseException) -> str:
    """The last line of what an actor raised, which is its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _local(judge: Judge, spec: str) -> Judge:
    if judge.remote is not None:
        problem = f"judge {spec!r} asks a service, which more machines do not make faster"
        raise InputError(problem, expected="such judges without --engine ray")
    return judge


def _refuse_dead(address: str) -> None:
    """Raise where nobody listens at HOST:PORT; Ray itself tries for seven minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        except (OSError, OverflowError) as error:
            raise InterjudgeError(f"no Ray cluster answers at {address}: {error}") from error


def _left(outputs: pl.DataFrame | str, ids: pl.Series, judge: Judge, done: pl.DataFrame) -> pl.Series:
    """The item ids that are not done, or were done when their output was another one."""
    read = ["item_id", *judge.reads]
    tables: Iterable[pl.DataFrame] = [outputs] if isinstance(outputs, pl.DataFrame) else _batches(outputs, read)
    hashes = [table.select("item_id", output_hash(table, judge.reads).alias(HASH)) for table in tables]
    same = pl.concat(hashes).join(done, on=["item_id", HASH], how="semi")["item_id"]
    return ids.filter(~ids.is_in(same.implode()))


# Where things lie.


def _batches(place: str, columns: list[str]) -> Iterator[pl.DataFrame]:
    for batch in _dataset(place).to_batches(columns=columns):
        yield pl.DataFrame(pl.from_arrow(batch)).with_columns(pl.col("item_id").cast(pl.String))


def _only(batch: pa.Table, wanted: pl.Series) -> pa.Table:
    """The rows whose `item_id` is wanted."""
    frame = pl.DataFrame(pl.from_arrow(batch))
    frame = frame.with_columns(pl.col("item_id").cast(pl.String))  # as `item_ids` has them
    return frame.filter(pl.col("item_id").is_in(wanted.implode())).to_arrow()


def _check_columns(outputs: pl.DataFrame | str, judge: Judge) -> None:
    names = outputs.columns if isinstance(outputs, pl.DataFrame) else _dataset(outputs).schema.names
    for column in ("item_id", *judge.reads):
        if column not in names:
            problem = f"judge {judge.name!r} reads a column {column!r} that the outputs do not have"
            problem = "no column 'item_id', which tells the outputs apart" if column == "item_id" else problem
            where = None if isinstance(outputs, pl.DataFrame) else outputs
            raise InputError(f"{problem}{did_you_mean(column, names)}", file=where, expected=f"one of {choices(names)}")


def _dataset(place: str) -> Any:
    filesystem, path = filesystem_of(place)
    import pyarrow as pa
    from pyarrow import dataset

    try:
        found = dataset.dataset(path, filesystem=filesystem, format="parquet")
        if not found.files:
            raise InputError("holds no Parquet file", file=place)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot be read as Parquet: {str(error).splitlines()[0]}", file=place) from error
    return found


def _check_parts(parts: str | Path, outputs: pl.DataFrame | str) -> None:
    """Parts go into a folder of their own: those among the outputs would be read as outputs."""
    place = full_path(parts)
    if "://" not in place and Path(place).exists() and not Path(place).is_dir():
        raise InputError("is a file", file=parts, expected="a folder for the parts, or a name that is free")
    if not isinstance(outputs, pl.DataFrame):
        of_outputs = full_path(outputs).rstrip("/")
        if f"{place.rstrip('/')}/".startswith(f"{of_outputs}/"):
            raise InputError("lies in the folder of the outputs", file=parts, expected="a folder of its own")


def item_ids(outputs: pl.DataFrame | str, limit: int | None) -> pl.Series:
    """The item ids, in order; none is null, and each stands once.

    Raises
    ------
    InputError : one is null or stands twice, or the outputs cannot be read.
    """
    if isinstance(outputs, pl.DataFrame):
        ids = outputs["item_id"]
    else:
        ids = pl.Series(pl.from_arrow(_dataset(outputs).to_table(columns=["item_id"])["item_id"]))
        ids = ids.cast(pl.String)
    if ids.null_count() or ids.n_unique() < ids.len():
        where = None if isinstance(outputs, pl.DataFrame) else outputs
        row = int(((~ids.is_first_distinct()) | ids.is_null()).arg_max() or 0)
        raise InputError("is null or stands twice", file=where, row=row + 1, column="item_id", found=ids[row])
    return ids if limit is None else ids.head(limit)
