"""Distributions out of ``bench_detection.py --sim --json``: how many deaths are known by when."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 720, 420
LEFT, TOP, RIGHT, BOTTOM = 60, 40, 20, 50
COLOURS = {"lan": "#1f6f8b", "fast": "#5b8c2a", "safe": "#8b6f1f", "memberlist": "#b3541e"}
OTHER = "#555555"
DASHES = ("", "7 4", "2 3", "9 3 2 3")
"""By line of the case, in order: a killed process, a host that is gone, and so on."""


def draw_file(source: Path, target: Path) -> None:
    """Draw all times until all know that are in a file of samples."""
    cases: Mapping[str, Any] = json.loads(source.read_text())["cases"]
    curves = {
        (label, profile): [math.inf if sample is None else sample for sample in tally["known"]]
        for labels in cases.values()
        for label, profiles in labels.items()
        for profile, tally in profiles.items()
        if tally["known"]
    }
    target.write_text(draw(curves))


def draw(curves: Mapping[tuple[str, str], Sequence[float]]) -> str:
    """The picture: the share of deaths that all know, over the seconds since.

    Args:
        curves: by label of the case and profile the seconds until all knew; at least one.
    """
    finite = [value for samples in curves.values() for value in samples if math.isfinite(value)]
    end = max(2.0, math.ceil(max(finite)))
    labels = list(dict.fromkeys(label for label, _ in curves))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            ' font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_axes(end),
    ]
    for number, ((label, profile), samples) in enumerate(curves.items()):
        colour = COLOURS.get(profile, OTHER)
        dash = DASHES[labels.index(label) % len(DASHES)]
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{_steps(samples, end)}" fill="none" {style}/>')
        y = HEIGHT - BOTTOM - 14 - 17 * (len(curves) - 1 - number)
        x = WIDTH - RIGHT - 270
        parts += [
            f'<line x1="{x}" y1="{y - 4}" x2="{x + 28}" y2="{y - 4}" {style}/>',
            f'<text x="{x + 36}" y="{y}">{profile}: {label}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes(end: float) -> list[str]:
    parts = []
    for percent in range(0, 101, 25):
        y = _y(percent / 100)
        parts += [
            f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#dddddd"/>',
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>',
        ]
    step, bottom = max(1, math.ceil(end / 12)), HEIGHT - BOTTOM
    for second in range(0, math.floor(end) + 1, step):
        x = _x(second, end)
        parts += [
            f'<line x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 5}" stroke="#888888"/>',
            f'<text x="{x}" y="{HEIGHT - BOTTOM + 19}" text-anchor="middle">{second}</text>',
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts += [
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">seconds since the death</text>',
        f'<text x="{LEFT}" y="{TOP - 16}">deaths that all other members know of</text>',
    ]
    return parts


def _steps(samples: Sequence[float], end: float) -> str:
    """The corners of the line, from nobody to everybody."""
    points = [f"{_x(0.0, end)},{_y(0.0)}"]
    seen = sorted(sample for sample in samples if math.isfinite(sample))
    for number, sample in enumerate(seen):
        before, after = number / len(samples), (number + 1) / len(samples)
        points += [f"{_x(sample, end)},{_y(before)}", f"{_x(sample, end)},{_y(after)}"]
    points.append(f"{_x(end, end)},{_y(len(seen) / len(samples))}")
    return " ".join(points)


def _x(second: float, end: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * second / end, 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)
