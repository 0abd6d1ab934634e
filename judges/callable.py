"""A Python function as a judge: `package.module:function`.

The function takes a batch of outputs (a polars DataFrame with the columns it reads) and answers one value an
output: text or booleans (labels), numbers (scores), or a DataFrame with any of `base.ANSWER_COLUMNS`. Attributes
of the function declare the judge: `labels`, `construct`, `kind`, `name`, `reads`, `version`, `batch_size`,
`threshold`. The attribute may also be a `Judge`, or a function without parameters that makes one.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import CellType, ModuleType
from typing import Any, Final

import numpy as np
import polars as pl

from interjudge.datasets.schema import NO_CONSTRUCT, STATUS
from interjudge.errors import InputError, choices, did_you_mean
from interjudge.judges.base import Judge, JudgeError, ShapeError
from interjudge.judges.imported import as_kind
from interjudge.judges.messages import is_secret_name, without_secrets

DECLARED: Final = ("labels", "construct", "kind", "name", "reads", "version", "batch_size", "threshold")
# A slow function is asked, and its verdicts stored, every few seconds; a fast one has few calls.
_FIRST_BATCH: Final = 8
_LARGEST_BATCH: Final = 10_000
_NO_ANSWER: Final = "the function gave no answer for this output"
_SOURCE_MARK: Final = "__interjudge_source__"  # on a module that we loaded: the hash of the text it came from


def load_judge(spec: str) -> Judge:
    """The judge that `package.module:function` names, imported with the current folder on the path.

    Raises
    ------
    InputError : the module is not there or fails while it is imported, has no such attribute, or the attribute
        is not a judge, a maker of one, or a function over a batch.
    """
    module_name, _, path = spec.partition(":")
    with current_folder_on_path():
        module = _import(module_name, spec)
        return as_judge(_attribute(module, path, spec), spec)


def as_judge(target: object, name: str) -> Judge:
    """The judge that a Python object is or makes; a function that declares no name is called `name`.

    Raises
    ------
    InputError : it is not a judge, a function that makes one, or a function over a batch.
    """
    if isinstance(target, Judge):
        return target
    if inspect.isclass(target) or not callable(target):
        raise InputError(
            f"{name!r} is not a judge",
            found=f"a {'class' if inspect.isclass(target) else type(target).__name__}",
            expected="a function over a batch of outputs, a Judge, or a function without parameters that makes one",
        )
    return _made(target, name) if _takes_nothing(target) else callable_judge(target, name=name)


def callable_judge(function: Callable[[pl.DataFrame], object], *, name: str | None = None) -> Judge:
    """A judge from a function over a batch; its attributes (see the module) declare it.

    `name` is what it is called where the function has no `name` attribute. The hash covers the text of the
    file the function stands in, so that an edited function is a new judge, and `version` for what the text
    does not show (a model file, a service).

    Raises
    ------
    InputError : an attribute has a wrong value, or the source text cannot be found and no `version` is given.
    """
    where = f"judge {name or getattr(function, '__name__', 'function')!r}"
    declared = {key: getattr(function, key) for key in DECLARED if getattr(function, key, None) is not None}
    reads = _names(declared.get("reads", ("prompt", "response")), "reads", where)

    identity, secrets = _identity(function, declared.get("version"), where)

    def evaluate(outputs: pl.DataFrame) -> pl.DataFrame:
        with current_folder_on_path():
            try:
                answer = function(outputs)
            except pl.exceptions.ColumnNotFoundError as error:
                raise JudgeError(
                    f"{where} asked for a column it does not declare in `reads` ({', '.join(reads)}): {error}"
                ) from error
            except Exception as error:
                if not any(secret in str(error) for secret in secrets):
                    raise
                message = f"{type(error).__name__}: {without_secrets(str(error), secrets)}"
                raise JudgeError(message) from None  # it would show a key
        return as_answer(answer, outputs.height, where)

    return Judge(
        name=str(declared.get("name", name or getattr(function, "__name__", "function"))),
        kind=as_kind(str(declared.get("kind", "classifier")), where),
        construct=str(declared.get("construct", NO_CONSTRUCT)),
        labels=_names(declared.get("labels", ()), "labels", where),
        evaluate=evaluate,
        identity=identity,
        reads=reads,
        batch_size=_whole(declared.get("batch_size", _FIRST_BATCH), where),
        grow_to=0 if "batch_size" in declared else _LARGEST_BATCH,
        threshold=_float(declared.get("threshold"), where),
    )


def as_answer(answer: object, height: int, where: str = "the function") -> pl.DataFrame:
    """What a function over a batch answered, as a table with columns of `ANSWER_COLUMNS`.

    A value that is null or NaN is no answer: status `error`, never a default label.

    Raises
    ------
    ShapeError : anything but `height` labels or scores of one type, or a table of them.
    """
    if isinstance(answer, pl.DataFrame):
        return answer
    if isinstance(answer, Mapping):
        try:
            return pl.DataFrame(dict(answer))
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            raise ShapeError(f"{where} answered columns that make no table: {error}") from error
    if isinstance(answer, str) or not isinstance(answer, Sequence | np.ndarray | pl.Series):
        raise ShapeError(f"{where} answered a {type(answer).__name__}, not one label or score for each output")
    if len(answer) != height:
        raise ShapeError(f"{where} answered {len(answer)} values for {height} outputs")
    try:
        values = answer if isinstance(answer, pl.Series) else pl.Series(answer, strict=True)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise ShapeError(f"{where} answered values of several types: {error}") from error
    return _labels_or_scores(values, where)


def _labels_or_scores(values: pl.Series, where: str) -> pl.DataFrame:
    if values.dtype.is_numeric() or values.dtype == pl.Null:
        given = values.cast(pl.Float64).fill_nan(None).alias("score")
    elif values.dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum):
        given = values.cast(pl.String).alias("label")
    else:
        raise ShapeError(f"{where} answered values of type {values.dtype}, neither labels nor scores")
    missing = pl.col(given.name).is_null()
    return pl.DataFrame([given]).with_columns(
        status=pl.when(missing).then(pl.lit("error")).otherwise(pl.lit("ok")).cast(STATUS),
        raw=pl.when(missing).then(pl.lit(_NO_ANSWER)),
    )


@contextmanager
def current_folder_on_path() -> Iterator[None]:
    """The current folder first on `sys.path`, as for a script that stands in it; taken off afterwards."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)  # the first one, which is ours


def _import(name: str, spec: str) -> ModuleType:
    importlib.invalidate_caches()  # the file may be younger than the folder's last listing
    try:
        module = importlib.import_module(name)
        text = _source_hash(module)
        # In a notebook the file may have changed since we loaded it; its hash must be that of what runs.
        if getattr(module, _SOURCE_MARK, text) != text:
            module = importlib.reload(module)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(
                f"judge {spec!r}: no module {error.name!r}", expected="a module in the current folder or installed"
            ) from error
        raise InputError(f"judge {spec!r}: its module {name!r} imports {error.name!r}, which is not there") from error
    # A module runs any code while it is imported, and any of it may fail; sys.exit is no Exception.
    except (Exception, SystemExit) as error:
        problem = f"{type(error).__name__}: {error}".rstrip(": ")
        raise InputError(f"judge {spec!r}: importing {name!r} failed", found=problem) from error
    setattr(module, _SOURCE_MARK, text)
    return module


def _attribute(module: ModuleType, path: str, spec: str) -> Any:
    target: Any = module
    for part in path.split("."):
        if not hasattr(target, part):
            public = [n for n in vars(target) if not n.startswith("_")] if hasattr(target, "__dict__") else []
            own = [n for n in public if getattr(vars(target)[n], "__module__", None) == module.__name__]
            raise InputError(
                f"judge {spec!r}: {module.__name__!r} has no {part!r}{did_you_mean(part, public)}",
                expected=f"one of {choices(own)}" if own else None,
            )
        target = getattr(target, part)
    return target


def _takes_nothing(function: Callable[..., object]) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built in C without a signature: taken as a function over a batch
        return False
    try:
        signature.bind(None)
    except TypeError:
        pass
    else:
        return False
    try:
        signature.bind()
    except TypeError:
        return False
    return True


def _made(maker: Callable[[], object], spec: str) -> Judge:
    try:
        judge = maker()
    # Third-party code: whatever it raises is told in words.
    except (Exception, SystemExit) as error:
        if isinstance(error, InputError):
            raise
        problem = f"{type(error).__name__}: {error}".rstrip(": ")
        raise InputError(f"judge {spec!r}: making it failed", found=problem) from error
    if not isinstance(judge, Judge):
        raise InputError(
            f"judge {spec!r}: a function without parameters must make a Judge", found=f"a {type(judge).__name__}"
        )
    return judge


def _identity(function: Callable[..., object], version: object, where: str) -> tuple[dict[str, object], list[str]]:
    """What decides the verdicts, as far as it can be seen: the source text and the values bound to the function.

    The values are hashed, for one of them may be a key. Also answers the texts bound under the name of a secret,
    which are no part of the hash.
    """
    code = _code_of(function)
    secrets: list[str] = []
    bound = None
    try:
        plain = _plain(_bound_values(function), secrets)
        if version is None:  # a version stands for all that follows but the text
            bound = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    except (TypeError, RecursionError) as error:
        if version is None:
            what = "itself" if isinstance(error, RecursionError) else error
            raise InputError(
                f"{where} holds {what}, which says nothing about its verdicts",
                expected="a `version` attribute on the function, changed whenever its verdicts may change",
            ) from None
    text = _source_hash(sys.modules.get(code.__module__))
    if text is None:
        try:
            text = hashlib.sha256(inspect.getsource(code).encode()).hexdigest()
        except (OSError, TypeError):
            if version is None:
                raise InputError(
                    f"{where}: its source text cannot be found",
                    expected="a `version` attribute on the function, changed whenever its verdicts may change",
                ) from None
    identity: dict[str, object] = {
        "callable": f"{code.__module__}:{code.__qualname__}",
        "source": text,
        "bound": bound,
        "version": version,
    }
    return identity, secrets


def _code_of(function: Any) -> Any:  # whatever can be called
    """The function or class whose text is to be hashed."""
    if isinstance(function, partial):
        return _code_of(function.func)
    return function if hasattr(function, "__qualname__") else type(function)


class _Named(dict[str, object]):
    """Values by the names a program binds them to, which tell a key from what decides a verdict."""


def _bound_values(function: Any) -> object:  # whatever can be called
    """What two functions of one text may differ in: closure, defaults, the arguments of a partial, attributes."""
    if isinstance(function, partial):
        names = _parameters(function.func)[: len(function.args)]
        rest = list(function.args[len(names) :])
        given = _Named(zip(names, function.args, strict=False))
        return ["partial", _Named(function.keywords), given, rest, _bound_values(function.func)]
    if inspect.ismethod(function):
        return ["method", function.__qualname__, _bound_values(function.__self__)]
    if inspect.isfunction(function):
        cells = [_cell(c) for c in function.__closure__ or ()]
        code, defaults = function.__code__, function.__defaults__ or ()
        optional = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
        closure = _Named(zip(code.co_freevars, cells, strict=True))
        return [closure, _Named(zip(optional, defaults, strict=True)), _Named(function.__kwdefaults__ or {})]
    return _Named({k: v for k, v in getattr(function, "__dict__", {}).items() if k not in DECLARED})


def _parameters(function: Callable[..., object]) -> list[str]:
    """The names that positional arguments are bound to, in order."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built in C without a signature
        return []
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _cell(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _plain(value: object, secrets: list[str]) -> object:
    """A value as JSON holds it, less what has the name of a secret, which goes to `secrets`.

    TypeError, with the type's name, for a value that shows nothing of what it does.
    """
    if value is None or isinstance(value, bool | int | float | str | bytes | Path | re.Pattern):
        return repr(value)
    if isinstance(value, Mapping):
        shown = _without_secrets(value, secrets) if isinstance(value, _Named) else value
        return {"mapping": [[_plain(k, secrets), _plain(v, secrets)] for k, v in shown.items()]}
    if isinstance(value, set | frozenset):
        return {"set": sorted(json.dumps(_plain(v, secrets)) for v in value)}
    if isinstance(value, list | tuple):
        return [_plain(v, secrets) for v in value]
    if inspect.isfunction(value):
        return [f"{value.__module__}:{value.__qualname__}", _plain(_bound_values(value), secrets)]
    if inspect.isclass(value) or inspect.isbuiltin(value) or inspect.ismodule(value):
        return f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', value.__name__)}"
    raise TypeError(f"a value of type {type(value).__name__}")


def _without_secrets(values: _Named, secrets: list[str]) -> dict[str, object]:
    # A number is no key: `first_token=1` decides a verdict.
    hidden = {k: v for k, v in values.items() if is_secret_name(k) and not isinstance(v, int | float)}
    secrets.extend(v for v in hidden.values() if isinstance(v, str) and v)
    return {k: v for k, v in values.items() if k not in hidden}


def _source_hash(module: ModuleType | None) -> str | None:
    file = getattr(module, "__file__", None)
    if file is None:  # a notebook, or built in
        return None
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return None


def _names(value: object, what: str, where: str) -> tuple[str, ...]:
    listed = tuple(value) if isinstance(value, list | tuple) else ()
    if not all(isinstance(v, str) and v for v in listed) or len(set(listed)) < len(listed) or (value and not listed):
        raise InputError(f"{where}: `{what}` is not understood", found=value, expected="a list of different names")
    return listed


def _whole(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{where}: `batch_size` is not understood", found=value, expected="a whole number from 1")
    return value


def _float(value: object, where: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f"{where}: `threshold` is not understood", found=value, expected="a number")
    return float(value)
