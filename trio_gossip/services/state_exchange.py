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
    from trio_gossip.services.state_allowance import Allowance
    from trio_gossip.services.state_records import Record
    from trio_gossip.services.state_replica import Replica
    from trio_gossip.services.state_vector import Vector

CHUNK_BYTES: Final = 64 * 1024
"""Records in one answer, in bytes; with the closing part an answer may have twice that."""

CHUNKS_MAX: Final = 4096
"""Answers that one exchange may have; a peer with more to say is not believed."""

EXCHANGES_MAX: Final = 4
"""Exchanges that one plane has open at once; a further one is counted and not begun."""

AGAIN_SECONDS: Final = 1.0
"""Between two exchanges with one peer that begin because it asked us and seemed to know more."""

BACK_MAX: Final = 1024
"""Peers for which the time of the last one is remembered; the oldest is forgotten."""


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
        allowance: is charged for what is looked at.
        learned: told of the records of an exchange that were news, once it ended.
    """

    def __init__(
        self,
        replica: Replica,
        host: Host,
        wall_ms: Callable[[], int],
        *,
        legs: Legs,
        allowance: Allowance,
        learned: Callable[[list[Record]], None],
    ) -> None:
        self._replica = replica
        self._host = host
        self._wall_ms = wall_ms
        self._legs = legs
        self._allowance = allowance
        self._was_vain = False
        self._learned = learned
        self._open: dict[str, _Open] = {}
        self._back: OrderedDict[str, float] = OrderedDict()

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
            RequestRefusedError: the answer is too long.
        """
        if ask.legs is Legs.PUSH:
            return WILL_ASK if self._asks_back(ask, source) else WILL_NOT_ASK
        chunk = make_chunk(self._replica, ask.seen, ask.cursor, CHUNK_BYTES)
        slots = self._replica.slots
        looked_at = slots.count(ask.cursor, chunk.cursor)
        if chunk.closing is not None and chunk.closing.resets:
            looked_at += len(slots.held)
        self._allowance.charge(source, self._host.now, records=looked_at)
        answer = fit_chunk(chunk, self._host.rng)
        if answer is None:
            self._host.bump("state_answer_too_long")
            raise RequestRefusedError("there are too many writers for one answer")
        if ask.legs is Legs.BOTH and not ask.cursor:
            self._asks_back(ask, source)
        return answer

    def give(self, wanted: Announced) -> bytes:
        """Give one record, for which somebody asks because it was announced.

        Raises:
            RequestRefusedError: it is not held any more.
        """
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

    def _may_ask_back(self, peer: str) -> bool:
        now = self._host.now
        if now - self._back.get(peer, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._back[peer] = now
        self._back.move_to_end(peer)
        if len(self._back) > BACK_MAX:
            self._back.popitem(last=False)
        return True


def nobody_waits(found: bool) -> None:
    """Nobody waits for the end of it."""
