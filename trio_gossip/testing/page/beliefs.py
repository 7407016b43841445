"""What a member came to believe of another, read back from the text of an event."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container


class State(IntEnum):
    """What a member believes of another. The page counts on these numbers."""

    UNKNOWN = 0
    """Never heard of it, or reaped it."""
    ALIVE = 1
    SUSPECT = 2
    FAILED = 3
    LEFT = 4


STATE_OF_EVENT: Final = {
    "MemberJoined": State.ALIVE,
    "MemberSuspected": State.SUSPECT,
    "MemberRecovered": State.ALIVE,
    "MemberFailed": State.FAILED,
    "MemberLeft": State.LEFT,
    "MemberReaped": State.UNKNOWN,
}
"""Events that change a belief, by class name, and the belief after them."""

_INCARNATION: Final = re.compile(r" incarnation=(\d+) ([a-z_]+)(?: accusers=(.*))?", re.DOTALL)


class Belief(NamedTuple):
    """One change of one member's belief of another."""

    subject: str
    state: State
    incarnation: int
    reason: str
    accusers: str
    """Names joined by commas, as the trace has them; "" when nobody accused."""


def read_belief(text: str, known: Container[str]) -> Belief | None:
    """Read what :func:`trio_gossip.testing.trace.event_text` wrote.

    A name may hold blanks and even text that looks like the rest of the line. Then the first
    reading that gives a name in ``known`` counts.

    Returns:
        None for events that change no belief: messages, conflicts, updates.
    """
    kind, _, rest = text.partition(" ")
    state = STATE_OF_EVENT.get(kind)
    if state is None:
        return None
    start = rest.find(" incarnation=")
    while start >= 0:
        match = _INCARNATION.fullmatch(rest, start)
        if match is not None and rest[:start] in known:
            number, reason, accusers = match.groups()
            return Belief(rest[:start], state, int(number), reason, accusers or "")
        start = rest.find(" incarnation=", start + 1)
    return None
