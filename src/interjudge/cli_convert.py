"""`interjudge convert`: files of other tools into tables of ours, and verdicts into a file that Inspect AI reads."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from interjudge import cli_options as opt
from interjudge import cli_screen as screen
from interjudge.errors import InputError, choices, did_you_mean, printable

if TYPE_CHECKING:
    import polars as pl

    from interjudge.datasets.foreign import Found

EPILOG = "Example: `interjudge convert logs/small.eval --out small.parquet`"
WHAT: Final = ("outputs", "verdicts", "reference")
TO: Final = ("interjudge", "inspect-scores")
_TEXTS: Final = ("prompt", "response")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EPILOG)(convert)


def convert(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="IN...", help="Files of one tool; several are read as one.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="F",
            help="Parquet, JSONL or CSV; the verdicts where the file holds several tables, the others beside it "
            "(NAME.outputs, NAME.reference). A folder takes them as outputs, verdicts and reference .parquet.",
        ),
    ] = None,
    from_: opt.From = None,
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORMAT", help=f"{' or '.join(TO)} (for precomputed_scores there)."),
    ] = TO[0],
    what: Annotated[
        str | None, typer.Option("--what", metavar="TABLE", help=f"Only one of them: {', '.join(WHAT)}.")
    ] = None,
    judge: opt.Judges = None,
    formats: Annotated[bool, typer.Option("--formats", help="List the formats, and end.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Files of other tools in: outputs, verdicts and reference labels. Verdicts out to Inspect AI.

    The format is recognised by content; `--from` says it where that fails. What was understood is printed.
    """
    if formats:
        _list()
        return
    if not files or out is None:
        raise InputError("a file and --out are needed", expected="interjudge convert IN --out F, or --formats")
    _known("--to", to, TO)
    if what is not None:
        _known("--what", what, WHAT)
    if to == TO[0]:
        _tables(files, from_, out, what, judge, quiet)
    else:
        _inspect_scores(files, from_, out, judge, quiet)


def _known(option: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InputError(f"unknown {option} {name!r}{did_you_mean(name, known)}", expected=f"one of {choices(known)}")


def _tables(
    files: list[str], from_: str | None, out: str, what: str | None, judges: Sequence[str] | None, quiet: bool
) -> None:
    from interjudge.datasets.write import check_targets, write_table

    _check_out(files, out)
    tables = _read(files, from_, quiet)
    if judges and tables.get("verdicts") is not None:
        tables["verdicts"] = opt.only_judges(tables["verdicts"], judges, None)
    if what is not None and what not in tables:
        raise InputError(f"no {what} there", file=", ".join(files), found=" and ".join(tables))
    targets = _targets(out, [what] if what is not None else [name for name in WHAT if name in tables])
    check_targets(list(targets.values()), inputs=files)
    beside = "outputs" in targets and "verdicts" in targets
    for name, path in targets.items():
        frame = tables[name]
        if name == "verdicts" and beside:  # the texts stand in the outputs
            frame = frame.drop(_TEXTS, strict=False)
        write_table(frame, path, inputs=files)
    for path in targets.values():
        if path != "-":
            typer.echo(f"wrote {Path(path)}", err="-" in targets.values())


def _check_out(files: list[str], out: str) -> None:
    from interjudge.datasets.write import check_target

    if not _is_folder(out):
        check_target(out, inputs=files)


def _is_folder(out: str) -> bool:
    return out != "-" and (out.endswith("/") or Path(out).is_dir() or not Path(out).suffix)


def _targets(out: str, names: Sequence[str]) -> dict[str, str]:
    """Where each table goes; the first of verdicts, outputs and reference that is there goes to `out` itself."""
    if _is_folder(out):
        return {name: str(Path(out) / f"{name}.parquet") for name in names}
    main = next(name for name in ("verdicts", "outputs", "reference") if name in names)
    if out == "-":
        return {main: out}
    path = Path(out)
    suffixes = "".join(path.suffixes[-2:]) if path.suffix in (".gz", ".zst") else path.suffix
    stem = path.name.removesuffix(suffixes)
    return {name: out if name == main else str(path.with_name(f"{stem}.{name}{suffixes}")) for name in names}


def _read(files: list[str], from_: str | None, quiet: bool) -> dict[str, pl.DataFrame]:
    """The tables that the files hold together; files of our own give what their columns say they are."""
    import polars as pl

    from interjudge.datasets.foreign import read_found
    from interjudge.datasets.source import open_source
    from interjudge.datasets.verdicts import read_verdicts

    tell = screen.tell_found(quiet)
    found: list[Found] = []
    with screen.working("reading", quiet=quiet):
        for path in files:
            one = read_found(open_source(path), from_)
            if one is None:
                return _own(files, from_)
            if tell is not None:
                tell(one)
            found.append(one)
        tables: dict[str, pl.DataFrame] = {}
        for name in ("outputs", "reference"):
            parts = [getattr(one, name) for one in found if getattr(one, name) is not None]
            if parts:
                keys = [key for key in ("item_id", "criterion") if all(key in part.columns for part in parts)]
                whole = pl.concat(parts, how="diagonal_relaxed").unique(maintain_order=True)
                tables[name] = _once(whole, keys, files)
        if any(one.verdicts is not None for one in found):
            holding = [path for path, one in zip(files, found, strict=True) if one.verdicts is not None]
            tables["verdicts"] = read_verdicts(holding, format=from_)
    return tables


def _once(frame: pl.DataFrame, keys: list[str], files: list[str]) -> pl.DataFrame:
    if keys != ["item_id"] and frame.select(keys).is_duplicated().any():
        twice = frame.filter(frame.select(keys).is_duplicated())["item_id"][0]
        raise InputError("two files say different things of one item", file=", ".join(files), found=twice)
    return frame.unique(keys, keep="first", maintain_order=True)


def _own(files: list[str], from_: str | None) -> dict[str, pl.DataFrame]:
    """Tables of ours: verdicts where there is a judge, else outputs, else reference labels; read as anywhere else."""
    from interjudge.datasets.outputs import read_outputs
    from interjudge.datasets.reference import read_reference
    from interjudge.datasets.verdicts import read_verdicts

    try:
        return {"verdicts": read_verdicts(files, format=from_)}
    except InputError as error:
        if len(files) > 1:
            raise
        with contextlib.suppress(InputError):
            return {"outputs": read_outputs(files[0], format=from_)}
        with contextlib.suppress(InputError):
            return {"reference": read_reference(files[0], format=from_)}
        raise InputError(
            f"the format is not known, nor is it a table of ours ({error})", expected="--from FORMAT"
        ) from None


def _inspect_scores(files: list[str], from_: str | None, out: str, judges: Sequence[str] | None, quiet: bool) -> None:
    from interjudge.datasets.inspect_scores import scores_text
    from interjudge.datasets.verdicts import read_verdicts
    from interjudge.datasets.write import check_target, write_text

    suffix = Path(out).suffix.lower()
    if out != "-" and suffix not in (".json", ".jsonl"):
        raise InputError("Inspect AI reads scores from .json or .jsonl", file=out, found=suffix or "no extension")
    check_target(out, inputs=files, table=False)
    with screen.working("reading", quiet=quiet):
        verdicts = read_verdicts(files, format=from_, tell=screen.tell_found(quiet))
    if judges:
        verdicts = opt.only_judges(verdicts, judges, None)
    text, n = scores_text(verdicts, lines=suffix != ".json")
    write_text(text, out, inputs=files)
    if not quiet:
        keys = verdicts["judge"].unique(maintain_order=True).to_list()
        how = "one value each" if len(keys) == 1 else f"values by name ({choices(keys)})"
        typer.echo(printable(f"{n:,} score records, {how}"), err=True)
    if out != "-":
        typer.echo(f"wrote {Path(out)}")


def _list() -> None:
    from interjudge.datasets.foreign import formats

    for entry in formats().values():
        typer.echo(f"{entry.name:24} {entry.title}")
