"""What every record is, and the one that holds a figure."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """Base of all records: immutable, no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class Estimate(Result):
    """A value with its interval, or the words why it does not exist.

    `value`, `ci_low`, `ci_high` are null together with a reason in `undefined`; `n` is the number of items
    (for a rate: verdicts) the value rests on. An interval may be null beside a value where no replicates
    were asked for or hardly any was defined.
    """

    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    undefined: str | None = None
