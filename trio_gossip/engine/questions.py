"""Who waits for which answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    import random

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Ack, Nack
    from trio_gossip.engine.counters import Counters

QUESTIONS_MAX: Final = 4096
"""Pings, relays and goodbyes that may wait for an answer at once."""

OVER_MAX: Final = 256
"""Ended questions to helpers that are remembered: what they still say counts as late and not
as forged; the one that ended first is forgotten."""

Answered: TypeAlias = Callable[[int, "Address"], None]
"""Called with the sequence number and with where the answer came from."""

Nacked: TypeAlias = Callable[[int, "Address", int], None]
"""Called with these, and with what the helper found."""


@attrs.define(slots=True, weakref_slot=False)
class _Question:
    acked: Answered
    nacked: Nacked | None


class Questions:
    """Open questions by sequence number.

    The numbers are random, 32 bits: who has not seen the question cannot forge the answer.
    memberlist counts them up from 1.
    """

    __slots__ = ("_counters", "_open", "_over", "_rng")

    def __init__(self, rng: random.Random, counters: Counters) -> None:
        self._rng = rng
        self._counters = counters
        self._open: dict[int, _Question] = {}
        self._over: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, acked: Answered, nacked: Nacked | None = None) -> int | None:
        """A new sequence number, or None when too many questions are open.

        ``acked`` is called at most once, and ends the question; ``nacked`` does not end it.
        """
        if len(self._open) >= QUESTIONS_MAX:
            self._counters.bump("questions_full")
            return None
        sequence = self._rng.getrandbits(32)
        while sequence in self._open:
            sequence = self._rng.getrandbits(32)
        self._open[sequence] = _Question(acked, nacked)
        return sequence

    def forget(self, sequence: int) -> None:
        """No answer to this question is wanted any more."""
        self._end(sequence)

    def _end(self, sequence: int) -> _Question | None:
        question = self._open.pop(sequence, None)
        if question is not None and question.nacked is not None:
            self._over[sequence] = None
            if len(self._over) > OVER_MAX:
                self._over.popitem(last=False)
        return question

    def on_ack(self, message: Ack, source: Address) -> bool:
        """An ack arrived; one that nobody waits for is counted, and False is returned."""
        question = self._end(message.sequence)
        if question is None:
            self._counters.bump("ack_unexpected")
            return False
        question.acked(message.sequence, source)
        return True

    def on_nack(self, message: Nack, source: Address) -> None:
        """A nack arrived. Most questions end before all helpers have spoken, with the first
        answer or with as many findings as are needed: those who come after that are late.
        """
        question = self._open.get(message.sequence)
        if question is None and message.sequence in self._over:
            self._counters.bump("nack_late")
        elif question is None or question.nacked is None:
            self._counters.bump("nack_unexpected")
        else:
            question.nacked(message.sequence, source, message.evidence)
