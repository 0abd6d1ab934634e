"""Colours that can be read and told apart: texts, figures on coloured cells, judges under colour blindness."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from interjudge.reports.drawing import COLOURS, NEUTRAL, PANEL
from interjudge.reports.picture_pairs import _STOPS

Floats = NDArray[np.float64]

# WCAG 2.2, success criteria 1.4.3 (texts) and 1.4.11 (graphics).
TEXT: Final = 4.5
GRAPHIC: Final = 3.0
# Machado, Oliveira and Fernandes (2009), severity 1.0; they are applied to linear RGB.
BLINDNESS: Final = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# IEC 61966-2-1 (sRGB to CIE XYZ); the middle row is the luminance.
XYZ: Final = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE: Final = XYZ @ np.ones(3)


def linear(colour: str) -> Floats:
    """(3,) linear RGB of ``#rgb`` or ``#rrggbb``."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
    c = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.asarray(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4))


def contrast(a: Floats, b: Floats) -> float:
    """WCAG's contrast ratio of two colours in linear RGB, 1 to 21."""
    low, high = sorted((float(XYZ[1] @ a), float(XYZ[1] @ b)))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: Floats) -> Floats:
    """CIE L*a*b* of linear RGB."""
    x, y, z = np.cbrt(XYZ @ np.clip(rgb, 1e-4, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def from_lab(colour: Floats) -> Floats:
    y = (colour[0] + 16) / 116
    at = np.array([y + colour[1] / 500, y, y - colour[2] / 200])
    return np.asarray(np.clip(np.linalg.inv(XYZ) @ (at**3 * WHITE), 0, 1))


def themes() -> dict[str, dict[str, str]]:
    """The colours of every block of the style sheet that names them."""
    css = files("interjudge.reports").joinpath("page.css").read_text(encoding="utf-8")
    blocks = re.findall(r"(:root[^{]*)\{([^}]*--ink:[^}]*)\}", css)
    named = {}
    for selector, body in blocks:
        of = dict(re.findall(r"--(\w+):(#[0-9a-fA-F]{3,8})", body))
        named[selector] = {name: colour for name, colour in of.items() if len(colour) in (4, 7)}
    return named


def test_contrast_is_that_of_the_standard() -> None:
    """Black on white 21, the same colour 1; #767676 on white is known as the lightest grey that passes: 4.54."""
    assert contrast(linear("#000"), linear("#fff")) == pytest.approx(21)
    assert contrast(linear("#123456"), linear("#123456")) == 1
    assert contrast(linear("#767676"), linear("#ffffff")) == pytest.approx(4.54, abs=0.005)


def test_the_style_sheet_names_the_colours_of_two_themes_and_of_paper() -> None:
    found = themes()
    assert len(found) == 4  # light; dark when chosen; dark by the system; paper
    dark = [of for selector, of in found.items() if "dark" in selector or "not(" in selector]
    assert dark[0] == dark[1]


@pytest.mark.parametrize("selector", list(themes()))
def test_texts_can_be_read(selector: str) -> None:
    of = {name: linear(colour) for name, colour in themes()[selector].items()}
    pairs = [(text, "paper") for text in ("ink", "soft", "link", "good", "warn")]
    pairs += [("ink", "tint"), ("ink", "mark"), ("soft", "mark")]
    low = {pair: contrast(of[pair[0]], of[pair[1]]) for pair in pairs}
    assert {pair: round(x, 2) for pair, x in low.items() if x < TEXT} == {}


def test_figures_can_be_read_on_every_cell_of_the_heat_map() -> None:
    """Black below .81 and above -.76, else white, as the picture's condition says."""
    stops = list(_STOPS)
    at: dict[float, Any] = {v: lab(linear(colour)) for v, colour in _STOPS.items()}
    worst = 21.0
    for v in np.linspace(-1, 1, 401):
        i = int(np.clip(np.searchsorted(stops, v, side="right") - 1, 0, len(stops) - 2))
        low, high = stops[i], stops[i + 1]
        share = (v - low) / (high - low)
        cell = from_lab((1 - share) * at[low] + share * at[high])
        text = "#ffffff" if v > 0.81 or v < -0.76 else "#000000"
        worst = min(worst, contrast(linear(text), cell))
    assert worst >= TEXT


@pytest.mark.parametrize("name", list(BLINDNESS))
def test_judges_colours_stay_apart_under_colour_blindness(name: str) -> None:
    """CIE76 distances; 2.3 is just noticeable (Mahy, Van Eycken and Oosterlinck 1994), and 15 is far beyond that."""
    seen = [lab(BLINDNESS[name] @ linear(colour)) for colour in COLOURS]
    apart = {
        (COLOURS[j], COLOURS[i]): float(np.linalg.norm(seen[i] - seen[j])) for i in range(len(seen)) for j in range(i)
    }
    assert {pair: round(d, 1) for pair, d in apart.items() if d < 15} == {}


@pytest.mark.parametrize("colour", [PANEL, NEUTRAL])
def test_what_is_drawn_alone_is_seen_on_both_pages(colour: str) -> None:
    for of in themes().values():
        assert contrast(linear(colour), linear(of["paper"])) >= GRAPHIC
