"""The last changes of each member, so that a person can be told what happened to it."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.events import MemberFailed, MemberUpdated

if TYPE_CHECKING:
    from trio_gossip.events import MemberEvent

CHANGES_KEPT: Final = 8
"""Changes remembered for each member."""

MEMBERS_KEPT: Final = 2048
"""Members remembered; the one that did not change for longest is forgotten first."""


@attrs.frozen
class _Noted:
    at: float
    event: MemberEvent


class History:
    """Bounded memory of member events with the times at which they were seen."""

    def __init__(self) -> None:
        self._changes: OrderedDict[str, deque[_Noted]] = OrderedDict()

    def note(self, event: MemberEvent, now: float) -> None:
        """Remember a change, seen at ``now`` (seconds of any one clock)."""
        name = event.member.name
        changes = self._changes.get(name)
        if changes is None:
            changes = self._changes[name] = deque(maxlen=CHANGES_KEPT)
            if len(self._changes) > MEMBERS_KEPT:
                self._changes.popitem(last=False)
        else:
            self._changes.move_to_end(name)
        changes.append(_Noted(now, event))

    def explain(self, name: str, now: float) -> str:
        """One line for each remembered change of a member, oldest first."""
        changes = self._changes.get(name)
        if not changes:
            return f"{name}: nothing is remembered"
        return "\n".join(_line(noted, now) for noted in changes)


def _line(noted: _Noted, now: float) -> str:
    event = noted.event
    member = event.member
    words = [
        f"{now - noted.at:8.1f} s ago: {member.name} {_what(event)}",
        f"({event.reason.value.replace('_', ' ')}; incarnation {member.incarnation}",
        f"at {member.address})",
    ]
    if event.evidence is not None:
        words.append(f"{event.evidence.name.lower()};")
    if event.accusers:
        words.append(f"accused by {', '.join(event.accusers)};")
    if event.tried:
        words.append(f"tried {', '.join(event.tried)};")
    if isinstance(event, MemberFailed) and event.steps:
        steps = (f"{step.replace('_', ' ')} {ago:.1f} s" for step, ago in event.steps)
        words.append(f"{', '.join(steps)} before;")
    if event.health_score:
        words.append(f"our own health score was {event.health_score};")
    if isinstance(event, MemberUpdated) and event.previous is not None:
        before = event.previous
        words.append(f"before: {before.address}, {len(before.meta)} bytes of meta;")
    return " ".join(words).rstrip(";")


def _what(event: MemberEvent) -> str:
    return type(event).__name__.removeprefix("Member").lower()
