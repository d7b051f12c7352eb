"""The style's colours can be told from their ground, in light and in dark."""

from __future__ import annotations

import re

import pytest

from dissensus.reports.html import read_static

TEXT = 4.5
"""The least contrast of text (WCAG 2, AA)."""
INKS = (
    "text", "muted", "link", "valid", "bad", "unknown", "ok", "info", "partition", "kill", "pause",
    "slow", "clock", "disk", "member", "byzantine",
)  # fmt: skip


def palettes() -> dict[str, dict[str, str]]:
    """The colours of each theme, by name without dashes."""
    css = read_static("report.css")
    light, dark, also_dark = re.findall(r":root[^{]*\{([^}]*--bg[^}]*)\}", css)
    found = {
        name: dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", body))
        for name, body in (("light", light), ("dark", dark), ("also dark", also_dark))
    }
    assert found["dark"] == found.pop("also dark"), "chosen and preferred dark differ"
    return found


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ink", INKS)
def test_text_can_be_read(theme: str, ink: str) -> None:
    palette = palettes()[theme]
    for ground in ("bg", "panel"):
        assert contrast(palette[ink], palette[ground]) >= TEXT - 0.05, ground


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_else_is_as_red_as_an_anomaly(theme: str) -> None:
    palette = palettes()[theme]
    assert list(palette.values()).count(palette["bad"]) == 1


def test_what_the_script_asks_for_is_there() -> None:
    code = read_static("view.js")
    palette = palettes()["light"]
    asked = set(re.findall(r'"--([a-z]+)"', code))
    names = re.search(r"const names = \[(.*?)\];", code, re.S)
    assert names is not None
    asked |= set(re.findall(r'"([a-z]+)"', names[1]))
    assert asked <= set(palette)
