"""What repair compares of one plane of state, and what its last changes added to the digest."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import ServiceNews
from trio_gossip.services.state_wire import encode_news

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.codec.messages import Message
    from trio_gossip.plane import Ended
    from trio_gossip.services.base import Host
    from trio_gossip.services.state_replica import Replica
    from trio_gossip.services.state_vector import Life

BEHIND_MAX: Final = 4
"""So many former versions of what was seen of a writer are remembered: a peer may lack all of them
and is told at once. One that lacks more finds out by an exchange."""

TOLD_MAX: Final = 16
"""More versions than that are not told with an answer to a ping: it is a peer's word how many there
are, and what is many goes by stream."""

LIVES_MAX: Final = 4096
"""Writers of which that is remembered; the one that wrote longest ago is forgotten."""

FIRST_PLANE: Final = 1
"""Code of the first plane of state among those that repair compares; 0 are the members."""

_MASK: Final = 2**64 - 1


class StatePlane:
    """A :class:`~trio_gossip.plane.Plane` over a replica.

    What a failed member wrote is forgotten by each member when it reaps it, at a moment of its own,
    and who came later never had it. So in state only the writers count that are active, as
    in the plane of members: else members would differ, and tell each other what is refused.

    Attributes:
        code: 1 for ``cluster.state``, 2 for ``cluster.shared``.
        changed_at: engine time of the last change of the digest.
    """

    def __init__(
        self,
        replica: Replica,
        host: Host,
        service: int,
        reconcile: Callable[[str, Ended], None],
    ) -> None:
        self.code = FIRST_PLANE + int(replica.plane)
        self.changed_at = 0.0
        self._replica = replica
        self._host = host
        self._service = service
        self._reconcile = reconcile
        self._tops: OrderedDict[Life, tuple[int, ...]] = OrderedDict()
        self._lives: dict[int, tuple[Life, int]] = {}
        """By difference: of which life the peer lacks what is above which version."""
        self._left_out: dict[str, int] = {}
        """Writers that do not count, with what they would add. No more than the table has rows."""
        self._left_out_sum = 0
        replica.seen.changed = self._seen_more

    @property
    def digest(self) -> int:
        """The sum over all writers that count."""
        return (self._replica.digest - self._left_out_sum) & _MASK

    def count(self, writer: str, *, is_counted: bool) -> None:
        """From now on, what that one wrote counts, or does not."""
        if is_counted == (writer not in self._left_out):
            return
        if is_counted:
            part = self._left_out.pop(writer)
            self._left_out_sum -= part
        else:
            lives = self._replica.seen.lives.get(writer, {})
            term = self._replica.seen.term
            part = sum(term((writer, gen), seen.top) for gen, seen in lives.items())
            self._left_out[writer] = part
            self._left_out_sum += part
        if part:
            self.changed_at = self._host.now

    def forget(self, writer: str) -> None:
        """That one was reaped, and the replica has forgotten it."""
        self._left_out.pop(writer, None)

    def reconcile(self, peer: str, ended: Ended) -> None:
        """Ask the peer for what it has more, and it will ask us."""
        self._reconcile(peer, ended)

    def explain(self, difference: int) -> list[Message]:
        """The last records of a writer, when they are all that a peer lacks and each fits a packet.

        None are told that would leave a gap at the peer: an exchange closes it anyway.
        """
        found = self._lives.get(difference)
        if found is None:
            return []
        (writer, gen), behind = found
        top = self._replica.seen.top(writer, gen)
        if top - behind > TOLD_MAX:
            return []
        missing = set(range(behind + 1, top + 1))
        records = [
            record
            for record in self._replica.slots.of(writer)
            if record.gen == gen and missing & {record.version, *record.covers}
        ]
        for record in records:
            missing -= {record.version, *record.covers}
        if missing:
            return []
        records.sort(key=lambda record: record.version)
        payloads = [encode_news(self._replica.plane, record) for record in records]
        if any(len(payload) > self._host.room for payload in payloads):
            return []
        return [ServiceNews(self._service, payload) for payload in payloads]

    def _seen_more(self, life: Life, before: int, after: int) -> None:
        writer = life[0]
        if writer in self._left_out:
            term = self._replica.seen.term
            part = term(life, after) - term(life, before)
            self._left_out[writer] += part
            self._left_out_sum += part
        else:
            self.changed_at = self._host.now
        former = self._tops.pop(life, None)
        if former is None:
            former = (before,)
        else:
            self._forget(life, former)
        if not after:
            return
        tops = (*former, after)[-BEHIND_MAX - 1 :]
        self._tops[life] = tops
        for difference, top in self._differences(life, tops):
            self._lives[difference] = (life, top)
        if len(self._tops) > LIVES_MAX:
            self._forget(*self._tops.popitem(last=False))

    def _forget(self, life: Life, tops: tuple[int, ...]) -> None:
        for difference, _ in self._differences(life, tops):
            self._lives.pop(difference, None)

    def _differences(self, life: Life, tops: tuple[int, ...]) -> list[tuple[int, int]]:
        term = self._replica.seen.term
        last = term(life, tops[-1])
        return [((last - term(life, top)) & _MASK, top) for top in tops[:-1]]
