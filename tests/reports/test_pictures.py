"""The pictures of a question: valid Vega-Lite, the same figures as their table, names inert."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interjudge.reports.picture import Picture
from interjudge.reports.pictures import pictures


def by_name(question: Any) -> dict[str, Picture]:
    return {picture.name: picture for picture in pictures(question)}


def test_every_picture_is_valid_vega_lite(make: Any) -> None:
    """Against the schema of Vega-Lite that Altair carries."""
    alt = pytest.importorskip("altair")
    found = by_name(make.question())
    assert found
    for picture in found.values():
        alt.Chart.from_dict(json.loads(json.dumps(picture.spec)), validate=True)
        assert picture.spec["width"] == "container"
        assert "title" not in picture.spec
