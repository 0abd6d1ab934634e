"""interjudge: how far do several judges of model outputs agree, and which verdicts can be trusted?

    from interjudge import read_outputs, get_judge, score, Tables, analyse, build_report

    outputs = read_outputs("outputs.jsonl")
    verdicts = score(outputs, [get_judge("keyword:default"), get_judge("coherence:heuristic")])
    analysis = analyse(Tables(verdicts, outputs))

The way through: outputs -> judges -> verdicts -> panel -> results -> report; each arrow is one function here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Where each public name lives; it is imported when it is first used, so that `interjudge --help` stays fast.
_HOMES = {
    "InputError": "interjudge.errors",
    "InterjudgeError": "interjudge.errors",
    "read_outputs": "interjudge.datasets.outputs",
    "read_verdicts": "interjudge.datasets.verdicts",
    "read_reference": "interjudge.datasets.reference",
    "write_table": "interjudge.datasets.write",
    "Judge": "interjudge.judges.base",
    "Family": "interjudge.judges.base",
    "get_judge": "interjudge.judges.registry",
    "score": "interjudge.judges.runner",
    "read_store": "interjudge.judges.store",
    "build_panel": "interjudge.agreement.panel",
    "Panel": "interjudge.agreement.panel",
    "parse_map": "interjudge.agreement.question",
    "agree": "interjudge.agreement.measure",
    "Sampling": "interjudge.agreement.sampling",
    "flag": "interjudge.agreement.flags",
    "conclude": "interjudge.agreement.conclusions",
    "analyse": "interjudge.agreement.analysis",
    "Tables": "interjudge.agreement.analysis",
    "QuestionSpec": "interjudge.agreement.analysis",
    "build_report": "interjudge.reports.report",
    "Provenance": "interjudge.reports.report",
    "Report": "interjudge.reports.report",
    "write_report": "interjudge.reports.write",
}

if TYPE_CHECKING:
    from interjudge.agreement.analysis import QuestionSpec as QuestionSpec
    from interjudge.agreement.analysis import Tables as Tables
    from interjudge.agreement.analysis import analyse as analyse
    from interjudge.agreement.conclusions import conclude as conclude
    from interjudge.agreement.flags import flag as flag
    from interjudge.agreement.measure import agree as agree
    from interjudge.agreement.panel import Panel as Panel
    from interjudge.agreement.panel import build_panel as build_panel
    from interjudge.agreement.question import parse_map as parse_map
    from interjudge.agreement.sampling import Sampling as Sampling
    from interjudge.datasets.outputs import read_outputs as read_outputs
    from interjudge.datasets.reference import read_reference as read_reference
    from interjudge.datasets.verdicts import read_verdicts as read_verdicts
    from interjudge.datasets.write import write_table as write_table
    from interjudge.errors import InputError as InputError
    from interjudge.errors import InterjudgeError as InterjudgeError
    from interjudge.judges.base import Family as Family
    from interjudge.judges.base import Judge as Judge
    from interjudge.judges.registry import get_judge as get_judge
    from interjudge.judges.runner import score as score
    from interjudge.judges.store import read_store as read_store
    from interjudge.reports.report import Provenance as Provenance
    from interjudge.reports.report import Report as Report
    from interjudge.reports.report import build_report as build_report
    from interjudge.reports.write import write_report as write_report


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'interjudge' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
