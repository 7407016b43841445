"""What the demo must see, judged from the agents' own lines and nothing else.

A phase is fed with what was seen, one line at a time. It knows no clock and no process: given
the same lines it says the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

ENDED = "process_ended"
"""The event that the demo itself adds to an agent's lines; it carries ``code``."""


@attrs.frozen
class Seen:
    """One line of one agent.

    Attributes:
        observer: name of the agent that printed it.
        at: when it happened, in seconds since the demo began.
        event: the line's object.
    """

    observer: str
    at: float
    event: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The event's name."""
        return str(self.event.get("event", ""))

    @property
    def subject(self) -> str:
        """Whom the event is about, empty when about nobody."""
        member: Mapping[str, Any] = self.event.get("member") or {}
        return str(member.get("name", ""))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of names in the event."""
        values = self.event.get(key) or ()
        return tuple(str(value) for value in values)


@attrs.frozen
class Remark:
    """Something worth telling the person who watches.

    Attributes:
        step: its name in JSON.
        text: one sentence.
        seen: what it was told from.
    """

    step: str
    text: str
    seen: Seen


class Phase(ABC):
    """Something that must be observed.

    Attributes:
        wrong: what was seen that must not be; a phase with a fault has failed at once.
    """

    def __init__(self, alive: Iterable[str]) -> None:
        """Args:
        alive: agents that must not end and must not be declared failed meanwhile.
        """
        self._alive = tuple(alive)
        self.wrong: list[str] = []

    def take(self, seen: Seen) -> Remark | None:
        """Look at one line."""
        if seen.kind == ENDED and seen.observer in self._alive:
            code = seen.event.get("code")
            self.wrong.append(f"{seen.observer} ended by itself with code {code}")
        elif seen.kind == "member_failed" and seen.subject in self._alive:
            self.wrong.append(f"{seen.observer} declared {seen.subject} failed, which is alive")
        return self._take(seen)

    @abstractmethod
    def _take(self, seen: Seen) -> Remark | None:
        """Look at one line that breaks no rule of every phase."""

    @property
    def missing(self) -> list[str]:
        """What has not been observed so far, in words; empty when all was."""
        return self._missing()

    @abstractmethod
    def _missing(self) -> list[str]:
        """See :attr:`missing`."""

    @property
    def complete(self) -> bool:
        """Everything was observed and nothing was wrong."""
        return not self.missing and not self.wrong


class Gathering(Phase):
    """Every agent sees every other.

    Attributes:
        started: the ``started`` line of each agent.
        sees_all: when each agent saw all others.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self._unseen = {name: set(names) - {name} for name in names}
        self.started: dict[str, Seen] = {}
        self.sees_all: dict[str, float] = {}

    def _take(self, seen: Seen) -> Remark | None:
        if seen.kind == "started":
            self.started[seen.observer] = seen
            text = f"{seen.observer} listens at {seen.event.get('address')}"
            return Remark("started", text, seen)
        unseen = self._unseen.get(seen.observer)
        if seen.kind == "member_joined" and unseen:
            unseen.discard(seen.subject)
            if not unseen:
                self.sees_all[seen.observer] = seen.at
                text = f"{seen.observer} sees all {len(self._unseen)} members"
                return Remark("sees_all", text, seen)
        return None

    def _missing(self) -> list[str]:
        return [f"{name} started" for name in self._unseen if name not in self.started] + [
            f"{name} sees {', '.join(sorted(unseen))}"
            for name, unseen in self._unseen.items()
            if unseen
        ]


class Detection(Phase):
    """A killed member is suspected by one that probed it, and failed for every survivor.

    Another one whose own probe fails confirms it: it says so itself, or is named as the second
    accuser when the failure is declared. Who repeats what it heard confirms nothing. That it is
    confirmed is shown and not demanded: with few members the first suspicion may run out before.

    Attributes:
        probed: when each survivor whose own probe failed suspected it.
        failed: when each survivor declared it failed.
    """

    def __init__(self, victim: str, survivors: Sequence[str]) -> None:
        super().__init__(survivors)
        self._victim = victim
        self._survivors = tuple(survivors)
        self.probed: dict[str, float] = {}
        self.failed: dict[str, float] = {}

    def _take(self, seen: Seen) -> Remark | None:
        if seen.subject != self._victim or seen.observer not in self._survivors:
            return None
        if seen.kind not in ("member_suspected", "member_failed"):
            return None
        if seen.kind == "member_suspected":
            if seen.event.get("reason") == "probe_failed":
                self.probed.setdefault(seen.observer, seen.at)
            return Remark("suspected", self._suspicion(seen), seen)
        self.failed.setdefault(seen.observer, seen.at)
        return Remark("failed", self._verdict(seen), seen)

    def _suspicion(self, seen: Seen) -> str:
        if seen.event.get("reason") == "probe_failed":
            tried = ", ".join(seen.texts("tried")) or "directly"
            too = " too" if min(self.probed, key=self.probed.__getitem__) != seen.observer else ""
            return f"{seen.observer} suspects {self._victim}{too}: no answer (tried: {tried})"
        accusers = seen.texts("accusers")
        who = " and ".join(accusers) or "somebody"
        verb = "suspect" if len(accusers) > 1 else "suspects"
        return f"{seen.observer} hears that {who} {verb} {self._victim}"

    def _verdict(self, seen: Seen) -> str:
        first, *more = seen.texts("accusers") or ("",)
        by = f"; suspected by {first}" if first else ""
        by += f", confirmed by {' and '.join(more)}" if more else ""
        if seen.event.get("reason") == "reported":
            return f"{seen.observer} hears that {self._victim} was declared failed{by}"
        return f"{seen.observer} declares {self._victim} failed: it did not refute in time{by}"

    def _missing(self) -> list[str]:
        missing = [
            f"{each} declares {self._victim} failed"
            for each in self._survivors
            if each not in self.failed
        ]
        if not self.probed:
            missing.append(f"somebody suspects {self._victim} after probing it")
        return missing


class Return(Phase):
    """A restarted member is alive again for every other, and sees every other.

    Attributes:
        listening: when the new process printed its first line; None before.
        back: when each other member took it back.
    """

    def __init__(self, returning: str, others: Sequence[str], incarnation: int) -> None:
        """Args:
        returning: name of the member.
        others: everybody else.
        incarnation: of its earlier life; only news of a later one counts.
        """
        super().__init__((returning, *others))
        self._returning = returning
        self._others = tuple(others)
        self._incarnation = incarnation
        self._unseen = set(others)
        self.listening: float | None = None
        self.back: dict[str, float] = {}

    def _take(self, seen: Seen) -> Remark | None:
        name = self._returning
        if seen.observer == name and seen.kind == "started":
            self.listening = seen.at
            text = f"{name} is back as a new process, listening at {seen.event.get('address')}"
            return Remark("started", text, seen)
        if seen.kind != "member_joined":
            return None
        if seen.observer == name:
            self._unseen.discard(seen.subject)
            if not self._unseen and seen.subject in self._others:
                return Remark("sees_all", f"{name} sees all others", seen)
        elif seen.subject == name and seen.observer in self._others:
            member = seen.event["member"]
            incarnation = member.get("incarnation", 0)
            if incarnation > self._incarnation and seen.observer not in self.back:
                self.back[seen.observer] = seen.at
                text = f"{seen.observer} has {name} back, alive at {member.get('address')}"
                return Remark("returned", text, seen)
        return None

    def _missing(self) -> list[str]:
        missing = [
            f"{each} takes {self._returning} back" for each in self._others if each not in self.back
        ]
        if self.listening is None:
            missing.append(f"{self._returning} started again")
        if self._unseen:
            missing.append(f"{self._returning} sees {', '.join(sorted(self._unseen))}")
        return missing


class Leaving(Phase):
    """A member says goodbye: left, and never failed, for every other; its process ends with 0.

    Attributes:
        left: when each other member saw it leave.
        ended: the exit code of its process; None before.
    """

    def __init__(self, leaver: str, others: Sequence[str]) -> None:
        super().__init__(others)
        self._leaver = leaver
        self._others = tuple(others)
        self.left: dict[str, float] = {}
        self.ended: int | None = None

    def _take(self, seen: Seen) -> Remark | None:
        if seen.observer == self._leaver and seen.kind == ENDED:
            self.ended = seen.event.get("code")
            if self.ended != 0:
                self.wrong.append(f"{self._leaver} ended with code {self.ended} and not 0")
            return Remark("ended", f"{self._leaver} has ended with code {self.ended}", seen)
        if seen.subject != self._leaver or seen.observer not in self._others:
            return None
        if seen.kind == "member_failed":
            self.wrong.append(f"{seen.observer} declared {self._leaver} failed, which said goodbye")
        elif seen.kind == "member_left" and seen.observer not in self.left:
            self.left[seen.observer] = seen.at
            text = f"{seen.observer} sees that {self._leaver} has left, by its own word"
            return Remark("left", text, seen)
        return None

    def _missing(self) -> list[str]:
        missing = [
            f"{each} sees {self._leaver} leave" for each in self._others if each not in self.left
        ]
        if self.ended is None:
            missing.append(f"the process of {self._leaver} ends")
        return missing
