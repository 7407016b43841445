"""Steps that send what fits no packet: it is announced, and fetched by stream."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from trio_gossip.errors import LocalProtocolError
from trio_gossip.testing.checkers.sealed import sealed
from trio_gossip.testing.scenarios.kind import Kind, Span

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.stage import Stage

LETTER_BYTES: Final = (1100, 20_000)
"""Of a long broadcast: from what is just too long for a packet to some dozens of them."""

GENTLE_MOST: Final = 8
"""As many as are drawn at all: they harm nobody."""


def _letter(stage: Stage, step: Step) -> None:
    """Each of the named members sends one. Where such broadcasts are refused, or it has sent too
    many lately, the call raises and nothing happens.
    """
    for name in step.names:
        stage.present(name)
    for name in step.names:
        mark = f"letter {step.at!r} of {name} {stage.simulation.seed} "
        payload = sealed(mark.encode(), int(step.amount))
        with suppress(LocalProtocolError):
            stage.simulation.do(name, "broadcast", payload)


KINDS: Final = (
    Kind(
        name="letter",
        about="members broadcast this many bytes each, too long for a packet",
        gentle_most=GENTLE_MOST,
        begin=_letter,
        names=(1, 3),
        amount=Span(1.0, 65_536.0),
        amounts=Span(*LETTER_BYTES),
    ),
)
"""Kinds of this theme."""
