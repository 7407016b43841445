"""Long broadcasts: gossip announces them, and members fetch them by stream from who has them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import Announce
from trio_gossip.engine.bucket import MOMENT
from trio_gossip.errors import LocalProtocolError
from trio_gossip.events import MessageReceived
from trio_gossip.services.base import RequestRefusedError, Service

if TYPE_CHECKING:
    from trio_gossip.engine.node import Node
    from trio_gossip.services.base import Host

PARCELS_SERVICE: Final = 9
"""The code under which members ask each other for them."""

HELD_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of long broadcasts that are kept for others; beyond it the oldest is given up."""

HOLD_SECONDS: Final = 30.0
"""For which one is kept: much longer than gossip goes on announcing it."""

WANTED_MAX: Final = 64
"""Long broadcasts that are being fetched at once; another one waits for its next announcement."""

TELLERS_MAX: Final = 8
"""Members remembered for each of these that said they have it."""

FETCH_SECONDS: Final = 1.0
"""Seconds after which the next of them is asked, be it that the last one has not answered yet."""

GIVE_UP_SECONDS: Final = 20.0
"""Seconds after which one is not fetched any more."""


@attrs.define(slots=True, weakref_slot=False)
class _Wanted:
    message: Announce
    tellers: list[str]
    ask_at: float
    until: float


class Parcels(Service):
    """Fetches what is announced, once, and has it for others.

    A payload crosses each member about once, where gossip would send it a dozen times. Only who
    has it announces it: so whoever is asked can answer, and the members nearby are asked first.
    """

    code = PARCELS_SERVICE

    def __init__(self, node: Node, is_new: Callable[[str, int, int], bool]) -> None:
        self._node = node
        self._is_new = is_new
        self._held: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._wanted: dict[bytes, _Wanted] = {}
        self.bytes = 0
        """Bytes that are held for others."""

    def attach(self, host: Host) -> None:
        """See :class:`Service`."""
        self._host = host

    def call(self, command: object, token: int) -> None:
        """There are no commands."""
        raise LocalProtocolError("long broadcasts are sent by broadcast()")

    def post(self, message: Announce, payload: bytes, key: object) -> None:
        """Send one of our own; a queued announcement of the same ``key`` is replaced."""
        self._hold(_mark(message), payload)
        self._announce(message, key, None)
        self._set_deadline()

    def announced(self, message: Announce) -> None:
        """Somebody has a long broadcast: fetch it, if it is new."""
        node = self._node
        teller = node.told_by()
        origin = node.table.get(message.origin)
        if teller is None or origin is None or message.epoch > origin.evidence:
            node.counters.bump("broadcast_of_unknown")
            return
        mark = _mark(message)
        wanted = self._wanted.get(mark)
        if wanted is not None:
            if teller not in wanted.tellers and len(wanted.tellers) < TELLERS_MAX:
                wanted.tellers.insert(0, teller)  # before those that were asked
            return
        if len(self._wanted) >= WANTED_MAX:
            node.counters.bump("parcel_not_fetched")
            return
        if (
            origin is node.me
            or mark in self._held
            or not self._is_new(message.origin, message.epoch, message.counter)
        ):
            node.counters.bump("broadcast_repeated")
            return
        until = node.now + GIVE_UP_SECONDS
        self._wanted[mark] = _Wanted(message, [teller], node.now, until)
        self._ask(mark)
        self._set_deadline()

    def answer_untrusted(self, payload: bytes, source: str) -> bytes:
        """Give out what is held."""
        held = self._held.get(payload)
        if held is None:
            raise RequestRefusedError("this broadcast is not held here")
        self._node.counters.bump("parcel_given")
        return held[0]

    def handle_timeout(self) -> None:
        """Ask the next teller, give up what nobody gives, forget what was held long enough."""
        now = self._node.now + MOMENT
        for mark, wanted in list(self._wanted.items()):
            if wanted.until <= now:
                del self._wanted[mark]
                self._node.counters.bump("parcel_lost")
            elif wanted.ask_at <= now:
                self._ask(mark)
        while self._held and next(iter(self._held.values()))[1] <= now:
            self._forget_oldest()
        self._set_deadline()

    # -- inside -------------------------------------------------------------------------

    def _ask(self, mark: bytes) -> None:
        """Ask a teller that was not asked yet, or else the one that was not for longest."""
        wanted = self._wanted[mark]
        wanted.ask_at = self._node.now + FETCH_SECONDS
        teller = wanted.tellers.pop(0)
        wanted.tellers.append(teller)
        try:
            self._host.request(teller, mark, partial(self._answered, mark, teller))
        except LocalProtocolError:  # it is gone, or too many requests are under way
            self._node.counters.bump("parcel_refused")

    def _answered(self, mark: bytes, teller: str, answer: bytes | Exception) -> None:
        wanted = self._wanted.get(mark)
        if wanted is None:
            return  # another one was faster, or it was given up
        message = wanted.message
        if isinstance(answer, Exception) or len(answer) != message.size:
            self._node.counters.bump("parcel_refused")
            return  # the deadline asks the next one
        del self._wanted[mark]
        self._hold(mark, answer)
        if self._node.table.active > 2:  # else nobody is there but us and who told us
            self._announce(message, mark, teller)
        self._node.outbox.notify(MessageReceived(message.origin, answer))
        self._set_deadline()

    def _announce(self, message: Announce, key: object, source: str | None) -> None:
        node = self._node
        node.queue.user.put(key, node.codec.encode(message), source=source)
        node.wake_gossip()

    def _hold(self, mark: bytes, payload: bytes) -> None:
        self._held[mark] = (payload, self._node.now + HOLD_SECONDS)
        self.bytes += len(payload)
        while self.bytes > HELD_BYTES_MAX:
            self._forget_oldest()
            self._node.counters.bump("parcel_dropped")

    def _forget_oldest(self) -> None:
        _, (payload, _) = self._held.popitem(last=False)
        self.bytes -= len(payload)

    def _set_deadline(self) -> None:
        times = [min(wanted.ask_at, wanted.until) for wanted in self._wanted.values()]
        if self._held:
            times.append(next(iter(self._held.values()))[1])
        self._host.set_deadline(min(times, default=math.inf))


def _mark(message: Announce) -> bytes:
    """What names a long broadcast in a request: the same at all members."""
    number = message.epoch << 64 | message.counter
    return number.to_bytes(16, "big") + message.origin.encode()
