"""Colours of the page: contrast as WCAG 2.2 counts it, in both themes."""

import re
from importlib.resources import files
from itertools import pairwise

import pytest

# Success criteria 1.4.3 (text) and 1.4.11 (what is drawn), level AA.
TEXT, DRAWN = 4.5, 3.0

TEXTS = [
    (ink, ground)
    for ground in ("page", "panel")
    for ink in ("ink", "faint", "accent", "good", "bad", "vermilion")
    if (ink, ground) != ("vermilion", "page")
]
TEXTS += [("good", "good-back"), ("bad", "bad-back"), ("panel", "accent"), ("ink", "rack")]
TEXTS += [("ink", "node")]
DRAWINGS = [
    (name, "panel")
    for name in (
        *("blue", "sky", "green", "orange", "vermilion", "purple", "yellow", "grey"),
        *("wine", "olive", "indigo"),
        *("focus", "chip-edge", "faint", "accent"),
    )
]
DRAWINGS += [(f"k{step}", ground) for step in range(5) for ground in ("rack", "node")]
DRAWINGS += [("chip-edge", "node"), ("focus", "node"), ("focus", "page"), ("focus", "rack")]


def palettes() -> dict[str, dict[str, str]]:
    text = (files("rack_sim.report.html") / "templates" / "style.css").read_text(encoding="utf-8")
    dark, light = text.split(":root {", 1)
    light = light.split("}", 1)[0]

    def named(part: str) -> dict[str, str]:
        return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", part))

    return {"light": named(light), "dark": named(dark)}


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour: WCAG 2.2, definition of the term."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21: WCAG 2.2, definition of the term."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_the_standards():
    assert contrast("#000000", "#ffffff") == 21.0
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005), "a known near miss"


def test_both_themes_have_the_same_colours():
    light, dark = palettes()["light"], palettes()["dark"]
    assert set(light) == set(dark)
    assert len(light) > 40


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_and_drawings_be_seen(theme):
    colours = palettes()[theme]
    short = {
        (one, other): round(contrast(colours[one], colours[other]), 2)
        for pairs, least in ((TEXTS, TEXT), (DRAWINGS, DRAWN))
        for one, other in pairs
        if contrast(colours[one], colours[other]) < least
    }
    assert not short


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scale", ["m", "u"])
def test_a_scale_rises_step_by_step(theme, scale):
    """From the ground to its opposite, so that it is read without seeing its hue."""
    steps = [luminance(palettes()[theme][f"{scale}{step}"]) for step in range(10)]
    assert steps == sorted(steps, reverse=theme == "light")
    assert min(abs(b - a) for a, b in pairwise(steps)) > 0.003
