"""Steps that disturb streams: refused, hung, and cut in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.testing.scenarios.kind import Kind, Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage


def _streams(field: str) -> Callable[[Stage, Step], Undo]:
    def begin(stage: Stage, step: Step) -> Undo:
        return stage.layers.add(**{field: step.amount})

    return begin


def _kind(name: str, about: str, field: str) -> Kind:
    return Kind(
        name=name,
        about=about,
        begin=_streams(field),
        amount=Span(0.0, 1.0),
        amounts=Span(0.1, 1.0),
        seconds=Span(0.0, 3600.0),
        durations=Span(5.0, 40.0),
        gentle_most=2,
    )


KINDS: Final = (
    _kind("streams-refused", "a share of new streams is refused", "dial_refuse"),
    _kind("streams-hung", "a share of new streams never opens", "dial_hang"),
    _kind("streams-cut", "a share of what is sent by stream breaks it in the middle", "stream_cut"),
)
"""Kinds of this theme. Datagrams still work, so that none of them excuses a false failure."""
