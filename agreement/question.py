"""The question a comparison is made on: a label set, and how each judge's labels come onto it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, Literal, cast, get_args

from interjudge.errors import InputError, choices, did_you_mean

Level = Literal["nominal", "ordinal", "interval", "ratio"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)

ANY: Final = "*"
# The label that a rate, a sensitivity or a positive agreement speaks of when the user does not say.
_POSITIVE: Final = (
    "refusal", "unsafe", "harmful", "jailbroken", "incoherent", "toxic", "violation",
    "positive", "yes", "true", "1",
)  # fmt: skip


# The labels of the constructs that have names here; a panel in which one of them never occurs keeps it.
CONSTRUCT_LABELS: Final = {
    "refusal": ("compliance", "refusal"),
    "harm": ("safe", "unsafe"),
    "coherence": ("coherent", "incoherent"),
}


@dataclass(frozen=True)
class MapRule:
    """`[SCOPE::]LABEL=NEW`: in the verdicts of SCOPE (a judge, a construct or a kind), LABEL becomes NEW.

    LABEL `*` stands for every label that no other rule names; an empty NEW leaves those verdicts out.
    """

    scope: str | None
    label: str
    target: str | None

    def __str__(self) -> str:
        return f"{self.scope + '::' if self.scope else ''}{self.label}={self.target or ''}"


def parse_map(text: str) -> MapRule:
    """One `--map` value.

    Raises
    ------
    InputError : when it is not of the form `[SCOPE::]LABEL=NEW`.
    """
    left, equals, target = text.rpartition("=")
    scope, _, label = left.rpartition("::")
    if not equals or not label:
        raise InputError("--map is not understood", found=text, expected="LABEL=NEW or JUDGE::LABEL=NEW")
    return MapRule(scope or None, label, target or None)


@dataclass(frozen=True)
class Question:
    """What is compared.

    Attributes
    ----------
    construct : what the judges measure; also the question's name.
    labels : the label set, in order (the order matters at ordinal level and for weighted kappas).
    positive : the label that rates, sensitivity and specificity speak of, if there is one.
    level : the level of measurement of alpha and of the weights.
    rules : how labels were renamed; `thresholds`: judge -> score from which its verdict is `positive`.
    """

    construct: str
    labels: tuple[str, ...]
    positive: str | None
    level: Level = "nominal"
    rules: tuple[MapRule, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def positive_code(self) -> int | None:
        return self.labels.index(self.positive) if self.positive is not None else None

    @property
    def values(self) -> tuple[float, ...] | None:
        """The labels as numbers, or None when they are not all numbers."""
        numbers = tuple(_number(label) for label in self.labels)
        return None if None in numbers else numbers  # type: ignore[return-value]  # None was just excluded


class LabelMap:
    """Applies the rules to (judge, label) pairs: rules that name the label before those for `*`; among either,
    the judge's own first, then its construct's, its kind's, then those for everybody."""

    def __init__(self, rules: Sequence[MapRule], judges: Mapping[str, tuple[str, str]]) -> None:
        """`judges` maps each judge's name to its (construct, kind)."""
        scopes = {*judges, *(c for c, _ in judges.values()), *(k for _, k in judges.values()), "reference"}
        for rule in rules:
            if rule.scope is not None and rule.scope not in scopes:
                raise InputError(
                    f"--map {rule}: no such judge, construct or kind{did_you_mean(rule.scope, scopes)}",
                    expected=f"one of {choices(sorted(scopes))}",
                )
        for a, b in combinations(rules, 2):
            if (a.scope, a.label) == (b.scope, b.label) and a.target != b.target:
                raise InputError(f"--map {a} and --map {b} contradict each other", expected="one rule a label")
        self.judges = judges
        self._table = {(rule.scope, rule.label): rule.target for rule in rules}
        self._scoped = {rule.scope for rule in rules if rule.scope is not None}

    def names(self, judge: str) -> bool:
        """Whether some rule is written for this judge, its construct or its kind."""
        return not self._scoped.isdisjoint((judge, *self.judges[judge]))

    def __call__(self, judge: str, label: str) -> str | None:
        """The label on the question, or None where a rule leaves the verdict out."""
        for key in (label, ANY):
            for scope in (judge, *self.judges.get(judge, ()), None):
                if (scope, key) in self._table:
                    return self._table[scope, key]
        return label


def parse_level(text: str) -> Level:
    """One `--level` value.

    Raises
    ------
    InputError : when it is none of `LEVELS`.
    """
    for level in get_args(Level):
        if level == text:
            return cast(Level, level)
    raise InputError(f"unknown level {text!r}{did_you_mean(text, LEVELS)}", expected=f"one of {choices(LEVELS)}")


def natural_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels by their number if all are numbers, else alphabetically."""
    labels = set(labels)
    if all(_number(label) is not None for label in labels):
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    return tuple(sorted(labels))


def default_labels(construct: str, found: Iterable[str]) -> tuple[str, ...]:
    """The labels found in their natural order, completed by the construct's own where they are all of these."""
    found = set(found)
    own = CONSTRUCT_LABELS.get(construct, ())
    return own if own and found <= set(own) else natural_order(found)


def default_positive(labels: Sequence[str]) -> str | None:
    """The label a two-label question is about; None for questions of one label or of three and more."""
    if len(labels) != 2:
        return None
    low = {label.casefold(): label for label in labels}
    return next((low[name] for name in _POSITIVE if name in low), labels[-1])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
