"""The neutral picture that the builders make and the HTML writer draws: a Vega-Lite chart and its data as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interjudge.reports.table import Table


@dataclass(frozen=True)
class Picture:
    """One picture of one question's report.

    Attributes
    ----------
    name : letters, digits and hyphens; unique within a question (``reliability``, ``pairs``).
    section : the title of the section (`reports.sections`) it stands in, at its head.
    title, caption : plain text; the caption says in a sentence what to see in it. The writer escapes both.
    spec : Vega-Lite (a `dict` as Altair's `to_dict` gives it, its data inline), without title, with width
        ``"container"``; drawn with a light and a dark theme, so colours that must survive both are named in it, and
        what has the colour of writing is left to the theme's ``axis``, ``legend`` and ``text`` (``config.text.color``).
    table : the same figures, for screen readers and for those who want to copy them.
    """

    name: str
    section: str
    title: str
    caption: str
    spec: Mapping[str, Any]
    table: Table
