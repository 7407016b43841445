"""The plot of ``bench_exchange.py``: residue after each round, measured and expected, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

WIDTH, HEIGHT = 720, 420
LEFT, TOP, RIGHT, BOTTOM = 70, 30, 150, 50
ROUNDS = 20
DECADES = 4
"""Residues from 1 down to 0.0001; what is below is drawn at the lower edge."""

COLOURS = {"push": "#b3541e", "pull": "#1f6f8b", "push-pull": "#5b8c2a"}


@attrs.frozen
class Curve:
    """Residues after each round of one mode, as measured and as the theory has it."""

    members: int
    mode: str
    measured: Sequence[float]
    expected: Sequence[float]


def draw(curves: Sequence[Curve]) -> str:
    """The picture of these curves, which are of one size of cluster."""
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            ' font-family="sans-serif" font-size="13">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_axes(curves[0].members),
    ]
    for number, curve in enumerate(curves):
        colour = COLOURS[curve.mode]
        dashed = _points(curve.expected)
        parts.append(
            f'<polyline points="{dashed}" fill="none" stroke="{colour}" stroke-width="1.5"'
            ' stroke-dasharray="5 4"/>'
        )
        solid = _points(curve.measured)
        parts.append(
            f'<polyline points="{solid}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
        for point in solid.split():
            x, y = point.split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>')
        height = TOP + 20 + 24 * number
        parts += [
            (
                f'<rect x="{WIDTH - RIGHT + 15}" y="{height - 10}" width="12" height="12"'
                f' fill="{colour}"/>'
            ),
            f'<text x="{WIDTH - RIGHT + 33}" y="{height}">{curve.mode}</text>',
        ]
    parts += [
        f'<text x="{WIDTH - RIGHT + 15}" y="{TOP + 110}" fill="#555">dots: measured</text>',
        f'<text x="{WIDTH - RIGHT + 15}" y="{TOP + 130}" fill="#555">dashes: theory</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes(members: int) -> list[str]:
    parts = []
    for decade in range(DECADES + 1):
        y = _y(10.0**-decade)
        parts += [
            f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#ddd"/>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**-decade:g}</text>',
        ]
    for at in range(0, ROUNDS + 1, 2):
        x = _x(at)
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{at}</text>')
    parts += [
        (
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
            "rounds: exchanges that each member has opened</text>"
        ),
        f'<text x="{LEFT}" y="{TOP - 12}">share of {members} members that have not heard</text>',
    ]
    return parts


def _points(residues: Sequence[float]) -> str:
    """The corners of a line, to the round in which nobody is left or the edge is reached."""
    points = []
    for at, residue in enumerate(residues[: ROUNDS + 1]):
        points.append(f"{_x(at)},{_y(residue)}")
        if residue <= 10.0**-DECADES:
            break
    return " ".join(points)


def _x(at: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * at / ROUNDS, 1)


def _y(residue: float) -> float:
    depth = min(DECADES, -math.log10(max(residue, 10.0**-DECADES)))
    return round(TOP + (HEIGHT - TOP - BOTTOM) * depth / DECADES, 1)
