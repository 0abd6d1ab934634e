"""Records of what numbers show: agreement of scores, different levels of label use, concordance of the panel."""

from __future__ import annotations

from interjudge.agreement.results_base import Estimate, Result


class Icc(Estimate):
    """One intraclass correlation: `name` as McGraw and Wong (1996) write it, such as ``ICC(A,1)``."""

    name: str


class RankConcordance(Estimate):
    """Kendall's W with its test. `chi_square`, `df` and `p` are null where there is no test; `no_test` says why."""

    chi_square: float | None = None
    df: int | None = None
    p: float | None = None
    no_test: str | None = None


class ScorePair(Result):
    """Two judges on the items that both scored. `bias` is the mean of a minus b; 95 % of the differences are
    expected between `lower_limit` and `upper_limit`, whatever the confidence level of the intervals is."""

    a: str
    b: str
    ccc: Estimate
    pearson: float | None = None
    bias: Estimate
    lower_limit: Estimate
    upper_limit: Estimate


class ScoreAgreement(Result):
    """How far the judges' numbers agree.

    `n` items are complete: every judge in `judges` scored them. ICC and Kendall's W rest on these. `silent` are the
    judges without a single score. `pairs` is empty above 50 judges. `notes`: what a reader should know.
    """

    n_items: int
    n: int
    judges: tuple[str, ...]
    silent: tuple[str, ...] = ()
    icc: tuple[Icc, ...]
    kendall_w: RankConcordance
    pairs: tuple[ScorePair, ...] = ()
    notes: tuple[str, ...] = ()


class PairHomogeneity(Result):
    """Whether two judges give the labels equally often, on the `n` items both judged.

    `test` names what `statistic`, `df` and `p` come from (the statistic of an exact test is null). `p_holm` is `p`
    corrected for all pairs of the panel. `bowker` is Bowker's test of symmetry, null for two labels in use.
    `label` is the label whose rates differ most (the question's positive one where there is one); `difference` is
    a's rate of it minus b's. `undefined` says why there is no test.
    """

    a: str
    b: str
    n: int
    test: str | None = None
    statistic: float | None = None
    df: int | None = None
    p: float | None = None
    p_holm: float | None = None
    bowker: float | None = None
    bowker_df: int | None = None
    bowker_p: float | None = None
    label: str | None = None
    difference: Estimate
    undefined: str | None = None


class ConcordanceBand(Result):
    """The items whose concordance is at least `low` and below `high` (at 1: exactly 1, every vote the same).

    `share` of the items with two votes or more; `accuracy` of the consensus there, null without a reference.
    """

    low: float
    high: float
    n: int
    share: Estimate
    accuracy: Estimate | None = None


class Concordance(Result):
    """How much the votes on an item point to one label: 1 all to one, 0 as evenly spread as they can be.

    `mean` over the items with two votes or more. `accuracy` is that of the consensus on the items with a reference
    label; `unanimous_wrong` counts those of them on which every judge says the same and is wrong.
    """

    mean: Estimate
    bands: tuple[ConcordanceBand, ...] = ()
    accuracy: Estimate | None = None
    n_referenced: int | None = None
    unanimous_wrong: int | None = None
    note: str


class ScoreFindings(Result):
    """The three together, as the report takes them."""

    scores: ScoreAgreement | None = None
    homogeneity: tuple[PairHomogeneity, ...] = ()
    concordance: Concordance | None = None
