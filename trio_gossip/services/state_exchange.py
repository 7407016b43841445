"""Exchanges of one plane of state with peers: what they have more, in chunks, by stream."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec import DecodeError
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.base import RequestRefusedError
from trio_gossip.services.state_delta import Announced, Ask, Legs
from trio_gossip.services.state_fitting import fit_chunk, fit_vector
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import Plane
from trio_gossip.services.state_sending import make_chunk
from trio_gossip.services.state_wire import encode_ask, encode_news, parse_chunk_untrusted

if TYPE_CHECKING:
    from trio_gossip.plane import Ended
    from trio_gossip.services.base import Host
    from trio_gossip.services.state_records import Record
    from trio_gossip.services.state_replica import Replica
    from trio_gossip.services.state_vector import Vector

CHUNK_BYTES: Final = 64 * 1024
"""Records in one answer, in bytes; with the closing part an answer may have twice that."""

CHUNKS_MAX: Final = 4096
"""Answers that one exchange may have; a peer with more to say is not believed."""

EXCHANGES_MAX: Final = 4
"""Exchanges that one plane has open at once; a further one is counted and not begun."""

ANSWERS_BURST: Final = 2048
"""Questions of one peer that are answered without a pause: enough for all that two planes hold."""

ANSWERS_RATE: Final = 256.0
"""Questions of one peer that are answered each second after that."""

AGAIN_SECONDS: Final = 1.0
"""Between two exchanges with one peer that begin because it asked us and seemed to know more."""

PEERS_MAX: Final = 1024
"""Peers for which the time of the last one is remembered, and how much they asked; of which nothing
was heard for longest is forgotten."""


WILL_ASK: Final = b"\x01"
"""The answer to an offer of who asks for what it lacks."""

WILL_NOT_ASK: Final = b"\x00"
"""The same of who lacks nothing, or asks for it already."""


@attrs.define
class _Open:
    peer: str
    asked: Vector
    legs: Legs
    intake: Intake
    ended: Ended
    chunks: int = 0


class StateExchange:
    """Asks for what others have more, and answers the same.

    Args:
        replica: of the plane.
        host: the engine.
        wall_ms: the wall clock, in milliseconds since 1970.
        legs: which way records go in the exchanges of this cluster.
        learned: told of the records of an exchange that were news, once it ended.
    """

    def __init__(
        self,
        replica: Replica,
        host: Host,
        wall_ms: Callable[[], int],
        legs: Legs,
        learned: Callable[[list[Record]], None],
    ) -> None:
        self._replica = replica
        self._host = host
        self._wall_ms = wall_ms
        self._legs = legs
        self._was_vain = False
        self._learned = learned
        self._open: dict[str, _Open] = {}
        self._back: OrderedDict[str, float] = OrderedDict()
        self._allowances: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def reconcile(self, peer: str, ended: Ended) -> None:
        """Exchange with ``peer`` in the mode of the cluster; both ways after one that was in vain.

        Where records go one way only, it is chance whether the member that begins is on the right
        side of the difference, and after each vain try it waits longer.
        """

        def done(found: bool) -> None:
            self._was_vain = not found
            ended(found)

        self.open(peer, done, Legs.BOTH if self._was_vain else self._legs)

    def open(self, peer: str, ended: Ended, legs: Legs) -> bool:
        """Exchange with ``peer`` what one of the two has seen and the other has not.

        Args:
            peer: an active member.
            ended: called once with whether that brought anything, if it was begun.
            legs: which way records go.

        Returns:
            False if it was not begun: too many are open, or one with this peer.
        """
        if peer in self._open or len(self._open) >= EXCHANGES_MAX:
            self._host.bump("state_exchange_busy")
            return False
        asked = fit_vector(self._replica.vector(), self._host.rng)
        self._open[peer] = _Open(peer, asked, legs, Intake(self._replica), ended)
        self._ask(self._open[peer])
        return True

    def _ask(self, opened: _Open) -> None:
        payload = encode_ask(Ask(opened.asked, opened.intake.cursor, opened.legs))
        try:
            self._host.request(opened.peer, payload, partial(self._answered, opened))
        except LocalProtocolError:  # it is gone, or more is under way than is allowed
            self._close(opened, "state_exchange_failed")

    def _answered(self, opened: _Open, answer: bytes | Exception) -> None:
        if isinstance(answer, Exception):
            self._close(opened, "state_exchange_failed")
        elif opened.legs is Legs.PUSH:
            is_known = answer in (WILL_ASK, WILL_NOT_ASK)
            found = answer == WILL_ASK
            self._close(opened, "state_offered" if is_known else "state_malformed", found=found)
        else:
            self._take(opened, answer)

    def _take(self, opened: _Open, answer: bytes) -> None:
        try:
            chunk = parse_chunk_untrusted(answer)
        except DecodeError:
            self._close(opened, "state_malformed")
            return
        before = opened.intake.cursor
        learned = opened.intake.take(chunk, now_ms=self._wall_ms())
        opened.chunks += 1
        if learned:
            self._learned(learned)
        if opened.intake.is_done:
            adopted = opened.intake.is_adopted
            self._close(opened, "state_exchanged" if adopted else "state_exchange_failed")
        elif opened.intake.cursor == before or opened.chunks >= CHUNKS_MAX:
            self._close(opened, "state_chunk_unexpected")
        else:
            self._ask(opened)

    def _close(self, opened: _Open, counter: str, *, found: bool = False) -> None:
        del self._open[opened.peer]
        self._host.bump(counter)
        opened.ended(found or opened.intake.stored > 0)

    def answer(self, ask: Ask, source: str) -> bytes:
        """Tell ``source`` what it lacks, or that we take what it offers; and ask it in turn, if
        it has seen more than we have and may be asked.

        Raises:
            RequestRefusedError: it asks too often, or the answer is too long.
        """
        self._count_question(source)
        if ask.legs is Legs.PUSH:
            return WILL_ASK if self._asks_back(ask, source) else WILL_NOT_ASK
        chunk = make_chunk(self._replica, ask.seen, ask.cursor, CHUNK_BYTES)
        answer = fit_chunk(chunk, self._host.rng)
        if answer is None:
            self._host.bump("state_answer_too_long")
            raise RequestRefusedError("there are too many writers for one answer")
        if ask.legs is Legs.BOTH and not ask.cursor:
            self._asks_back(ask, source)
        return answer

    def give(self, wanted: Announced, source: str) -> bytes:
        """Give ``source`` one record, for which it asked because it was announced.

        Raises:
            RequestRefusedError: it asks too often, or the record is not held any more.
        """
        self._count_question(source)
        record = self._replica.slots.get(wanted.slot)
        if record is None or record.dot != wanted.dot:
            raise RequestRefusedError("this record is not held here")
        self._host.bump("state_given")
        return encode_news(wanted.plane, record)

    def _asks_back(self, ask: Ask, source: str) -> bool:
        if not self._knows_more(ask.seen) or not self._may_ask_back(source):
            return False
        # Only for this: what it lacks of ours, it gets by the answer or did not want.
        return self.open(source, nobody_waits, Legs.PULL)

    def _knows_more(self, asked: Vector) -> bool:
        replica = self._replica
        seen = replica.seen
        if replica.plane is Plane.STATE and any(
            # A new life in which nothing was written yet: it ends the keys of the former one.
            gen > seen.newest(writer) > 0 and writer != replica.name and replica.is_member(writer)
            for writer, gen in asked.tops
        ):
            return True
        return any(
            top > seen.top(writer, gen) and not seen.has(writer, gen, top)
            for (writer, gen), top in asked.tops.items()
        ) or any(fold > seen.folds.get(writer, fold) for writer, fold in asked.folds.items())

    def _count_question(self, peer: str) -> None:
        if not self._may_be_asked(peer):
            self._host.bump("state_asked_too_often")
            raise RequestRefusedError(f"more than {ANSWERS_RATE:g} questions a second")

    def _may_be_asked(self, peer: str) -> bool:
        now = self._host.now
        allowance, before = self._allowances.pop(peer, (float(ANSWERS_BURST), now))
        allowance = min(float(ANSWERS_BURST), allowance + ANSWERS_RATE * (now - before))
        allowed = allowance >= 1.0
        self._allowances[peer] = (allowance - allowed, now)
        if len(self._allowances) > PEERS_MAX:
            self._allowances.popitem(last=False)
        return allowed

    def _may_ask_back(self, peer: str) -> bool:
        now = self._host.now
        if now - self._back.get(peer, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._back[peer] = now
        self._back.move_to_end(peer)
        if len(self._back) > PEERS_MAX:
            self._back.popitem(last=False)
        return True


def nobody_waits(found: bool) -> None:
    """Nobody waits for the end of it."""
