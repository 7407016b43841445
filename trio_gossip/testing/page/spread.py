"""How news of each member spreads: who was suspected when, declared failed when, known to all when.

Fed with the truth (who runs) and with beliefs, in the order in which they came about.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_gossip.testing.page.beliefs import State

_ACCUSING: Final = (State.SUSPECT, State.FAILED, State.LEFT)
_GONE: Final = (State.FAILED, State.LEFT)

# By state, as tables: this is asked for every belief of thousands of members.
_RIGHT_OF_RUNNING: Final = tuple(state is State.ALIVE for state in State)
_RIGHT_OF_ENDED: Final = tuple(state not in (State.ALIVE, State.SUSPECT) for state in State)
_GONE_OF_RUNNING: Final = tuple(state in _GONE for state in State)
# Who never heard of it, or has reaped it, has nothing more to learn of its end.
_GONE_OF_ENDED: Final = tuple(state in _GONE or state is State.UNKNOWN for state in State)


@attrs.define
class Rumour:
    """The news that one member is gone, true or not, from its beginning until all know the truth.

    Times are virtual seconds, None for what did not happen.

    Attributes:
        subject: whom it is about.
        began: the first accusation, or the end of the process if that came first.
        ended_at: when the process of the subject really ended; None when it did not.
        suspected_at: the first suspicion, and ``suspected_by``, who had it.
        failed_at: the first declaration as failed, and ``failed_by``, who made it.
        left_at: when the first one saw it as left.
        known_at: every other running member holds it for failed or left.
        refuted_at: everybody holds it for alive again, and its process ran all the time.
        restarted_at: its process began again; who did not know of its end need not any more.
        suspecting: most members that suspected it at one time.
        curve: after each change ``(time, suspecting, knowing, others)``: members that suspect
            it, that hold it for gone, and all others that run.
    """

    subject: str
    began: float
    ended_at: float | None = None
    suspected_at: float | None = None
    suspected_by: str = ""
    failed_at: float | None = None
    failed_by: str = ""
    left_at: float | None = None
    known_at: float | None = None
    refuted_at: float | None = None
    restarted_at: float | None = None
    suspecting: int = 0
    curve: list[tuple[float, int, int, int]] = attrs.Factory(list[tuple[float, int, int, int]])

    @property
    def is_false(self) -> bool:
        """True when the subject ran all the time."""
        return self.ended_at is None and self.left_at is None

    def note_first(self, time: float, observer: str, state: State) -> None:
        """Keep who was the first to believe it."""
        if state is State.SUSPECT and self.suspected_at is None:
            self.suspected_at, self.suspected_by = time, observer
        elif state is State.FAILED and self.failed_at is None:
            self.failed_at, self.failed_by = time, observer
        elif state is State.LEFT and self.left_at is None:
            self.left_at = time

    def draw(self, time: float, suspecting: int, knowing: int, others: int) -> None:
        """Add a point to the curve."""
        self.suspecting = max(self.suspecting, suspecting)
        self.curve.append((time, suspecting, knowing, others))


class Spread:
    """Follows what everybody believes of everybody.

    Attributes:
        rumours: all so far, in the order in which they began.
        right: beliefs of running members about others that fit the truth.
        suspicions: how often a member began to suspect one that ran.
        declarations: how often a member declared one failed that ran.
    """

    def __init__(self) -> None:
        self.rumours: list[Rumour] = []
        self.right = 0
        self.suspicions = 0
        self.declarations = 0
        self._index: dict[str, int] = {}
        self._up: list[bool] = []
        self._running = 0
        # One byte for each belief: thousands of members have millions of them.
        self._views: list[bytearray] = []
        self._open: dict[int, Rumour] = {}
        self._last: dict[int, Rumour] = {}

    @property
    def possible(self) -> int:
        """Beliefs that can be right: of each running member about each other that runs or ran."""
        return self._running * (len(self._up) - 1)

    @property
    def is_settled(self) -> bool:
        """True when every running member is right about every other."""
        return self.right == self.possible

    @property
    def share(self) -> float:
        """Part of the possible beliefs that are right, 0 to 1."""
        return self.right / self.possible if self.possible else 1.0

    def is_running(self, name: str) -> bool:
        """True between :meth:`up` and :meth:`down`."""
        at = self._index.get(name)
        return at is not None and self._up[at]

    def view(self, observer: str, subject: str) -> State:
        """What one member believes of another."""
        return State(self._views[self._index[observer]][self._index[subject]])

    def up(self, time: float, name: str) -> None:
        """A process began, for the first time or again; it knows nobody."""
        at = self._index.get(name)
        if at is None:
            at = self._add(name)
        elif self._up[at]:
            return
        self._recount(at, -1)
        self._up[at] = True
        self._running += 1
        self._views[at] = bytearray(len(self._up))
        self._recount(at, 1)
        before = self._last.get(at)
        if before is not None and before.ended_at is not None:
            before.restarted_at = time
            self._open.pop(at, None)
        self._look_again(time)

    def down(self, time: float, name: str) -> None:
        """A process ended, however that was; what it believed counts no more."""
        if not self.is_running(name):
            return
        at = self._index[name]
        self._recount(at, -1)
        self._up[at] = False
        self._running -= 1
        self._recount(at, 1)
        rumour = self._open.get(at) or self._farewell(at) or self._begin(time, at, name)
        rumour.ended_at = time
        self._look_again(time)

    def believe(self, time: float, observer: str, subject: str, state: State) -> None:
        """A running member came to believe something of another; of itself it does not count."""
        if observer == subject or not self.is_running(observer) or subject not in self._index:
            return
        row, at = self._views[self._index[observer]], self._index[subject]
        before = row[at]
        row[at] = state
        runs = self._up[at]
        right = _RIGHT_OF_RUNNING if runs else _RIGHT_OF_ENDED
        self.right += right[state] - right[before]
        if runs and state != before:
            self.suspicions += state is State.SUSPECT
            self.declarations += state is State.FAILED
        rumour = self._open.get(at)
        if rumour is None:
            if state not in _ACCUSING or (not runs and state in _GONE):
                return
            rumour = self._begin(time, at, subject)
            self._count(time, at, rumour)
        else:
            _, suspecting, knowing, others = rumour.curve[-1]
            suspecting += (state is State.SUSPECT) - (before == State.SUSPECT)
            gone = _GONE_OF_RUNNING if runs else _GONE_OF_ENDED
            knowing += gone[state] - gone[before]
            rumour.draw(time, suspecting, knowing, others)
        rumour.note_first(time, observer, state)
        self._look(at, rumour)

    def _add(self, name: str) -> int:
        self._index[name] = at = len(self._index)
        self._up.append(False)
        for row in self._views:
            row.append(State.UNKNOWN)
        self._views.append(bytearray(len(self._up)))
        # Nobody can be wrong about a member that has never run.
        self.right += self._running
        return at

    def _recount(self, at: int, sign: int) -> None:
        """Add, or take away, all beliefs of a member and about it."""
        row, runs = self._views[at], self._up[at]
        about = _RIGHT_OF_RUNNING if runs else _RIGHT_OF_ENDED
        right = 0
        for other, other_runs in enumerate(self._up):
            if other == at:
                continue
            if other_runs:
                right += about[self._views[other][at]]
            if runs:
                right += (_RIGHT_OF_RUNNING if other_runs else _RIGHT_OF_ENDED)[row[other]]
        self.right += sign * right

    def _begin(self, time: float, at: int, subject: str) -> Rumour:
        rumour = self._open[at] = self._last[at] = Rumour(subject, time)
        self.rumours.append(rumour)
        return rumour

    def _farewell(self, at: int) -> Rumour | None:
        """The news that a member leaves, if all had it before its process ended."""
        last = self._last.get(at)
        told = last is not None and last.left_at is not None and last.ended_at is None
        return last if told else None

    def _look_again(self, time: float) -> None:
        """Who runs has changed, and with it the members that a rumour has to reach."""
        for at, rumour in list(self._open.items()):
            self._count(time, at, rumour)
            self._look(at, rumour)

    def _count(self, time: float, at: int, rumour: Rumour) -> None:
        states = [
            row[at] for other, row in enumerate(self._views) if other != at and self._up[other]
        ]
        gone = _GONE_OF_RUNNING if self._up[at] else _GONE_OF_ENDED
        knowing = sum(gone[state] for state in states)
        rumour.draw(time, states.count(State.SUSPECT), knowing, len(states))

    def _look(self, at: int, rumour: Rumour) -> None:
        """Close a rumour that has come to its end."""
        time, suspecting, knowing, others = rumour.curve[-1]
        if self._up[at] and rumour.left_at is None:
            if not suspecting and not knowing:
                rumour.refuted_at = time
                del self._open[at]
        elif knowing == others and others:
            rumour.known_at = time
            del self._open[at]
