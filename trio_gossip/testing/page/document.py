"""Puts the page together: one file that needs no network and runs no script but its own."""

from __future__ import annotations

import base64
import html
import json
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from trio_gossip.testing.page.data import page_data
from trio_gossip.testing.page.story import Story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.trace import Trace

SCRIPTS: Final = (
    "data.js",
    "beliefs.js",
    "words.js",
    "colours.js",
    "ring.js",
    "flights.js",
    "rumours.js",
    "overview.js",
    "list.js",
    "breaches.js",
    "view.js",
    "controls.js",
)
"""In the order in which they are put into the page: each uses only what stands before it."""


def make_page(
    trace: Trace,
    *,
    title: str = "Simulation",
    facts: Iterable[tuple[str, str]] = (),
    about: str = "",
    findings: Findings | None = None,
) -> str:
    """Make a page that shows what a trace has recorded: who sent what, who believed what.

    Args:
        trace: must have kept its records from the beginning; the page says what is missing.
        title: of the page.
        facts: names and values of parameters, for the heading.
        about: what is played, in words, below the heading.
        findings: what checkers saw; each violation is shown at its time.

    Returns:
        One HTML document. It loads nothing, and its policy forbids every script but its own.

    Raises:
        ValueError: the trace has no member, or more than
            ``NODES_MAX`` of ``trio_gossip.testing.page.data``.
    """
    notes: list[str] = []
    if trace.dropped:
        notes.append(
            f"The first {trace.dropped} records were not kept: what is shown may be wrong where"
            " it rests on them."
        )
    values = page_data(Story().read(trace), facts, notes, about=about, findings=findings)
    data = json.dumps(values, separators=(",", ":"))
    style = _resource("page.css")
    script = "\n".join(['"use strict";', *map(_resource, SCRIPTS)])
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)};"
        f" script-src {_hash(script)}",
        "title": html.escape(title),
        "style": style,
        "script": script,
        # In a script element nothing but "<" can end it or hide its end.
        "data": data.replace("<", "\\u003c"),
    }
    page = _resource("page.html")
    pieces = page.split("@@")
    pieces[1::2] = [parts[name] for name in pieces[1::2]]
    return "".join(pieces)


def _resource(name: str) -> str:
    return files("trio_gossip.testing.page").joinpath("static", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a content security policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
