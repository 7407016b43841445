"""Rules of a sealed cluster: what links may carry, and what its members may take for good.

They know the outside of the native format: where its headers have the number of a datagram, and the
random part of a preface. Plain clusters give them nothing to check.
"""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec import DecodeError
from trio_gossip.codec.frames import FrameDecoder
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.wire import is_well_formed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

DATAGRAMS_MAX: Final = 65_536
"""Datagrams that were sent and are remembered; the oldest goes, and proves nothing any more."""

TELLING_BYTES: Final = 8
"""A packet of fewer bytes may by chance be found in a sealed one."""

_HEADER_BYTES: Final = 19
_HELLO: Final = 0xE1
_NOTICE: Final = 0xE5
_DATAGRAMS: Final = frozenset((_HELLO, 0xE2, 0xE3, 0xE4, _NOTICE))
_RECORD: Final = 0x00
_PREFACES: Final = frozenset((0xE8, 0xE9))
_STREAMS: Final = _PREFACES | {_RECORD, 0xEA}


class NothingInClear(Checker):
    """On the links of a sealed cluster there is nothing but its sealed format: no datagram that the
    codec can read or that holds a packet as its sender made it, no frame that it can read.
    """

    name: ClassVar[str] = "nothing-in-clear"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._last: tuple[Process, bytes] | None = None

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        self._last = (process, data)

    def carried(self, process: Process, data: bytes, address: Address) -> None:
        last = self._last
        if data[0] not in _DATAGRAMS or is_well_formed(data):
            self.wrong(f"{process.name} sent a datagram that is not sealed: {data[:40]!r}")
        elif last is not None and last[0] is process and _holds(data, last[1]):
            self.wrong(f"{process.name} sent a packet in the clear within a datagram")
        else:
            self.ok()

    def streamed(self, process: Process, data: bytes, peer: Process) -> None:
        if data[0] not in _STREAMS or _is_frame(data):
            self.wrong(f"{process.name} wrote to a stream what is not sealed: {data[:40]!r}")
        else:
            self.ok()


def _holds(sealed: bytes, packet: bytes) -> bool:
    return len(packet) >= TELLING_BYTES and packet in sealed


def _is_frame(data: bytes) -> bool:
    try:
        return bool(FrameDecoder().feed_untrusted(data))
    except DecodeError:
        return False


class NoncesOnce(Checker):
    """No pair of key and nonce comes twice, for with AES-GCM that gives everything away. The keys
    of a sender follow from its boot id, so no two lives may have the same one, and the numbers
    of a life only ever rise. Those of a stream follow from the random parts of its prefaces, of
    which none may come twice.
    """

    name: ClassVar[str] = "nonces-once"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._highest: dict[Process, int] = {}
        self._boots: dict[bytes, Process] = {}
        self._randoms: set[bytes] = set()

    def ended(self, process: Process, how: str) -> None:
        self._highest.pop(process, None)

    def carried(self, process: Process, data: bytes, address: Address) -> None:
        if data[0] == _NOTICE:
            return  # in the clear, and believed for nothing
        number = int.from_bytes(data[13:_HEADER_BYTES], "big")
        before = self._highest.get(process, -1)
        self._highest[process] = max(number, before)
        if number <= before:
            self.wrong(f"{process.name} sealed number {number} after {before}")
        elif data[0] == _HELLO and self._boots.setdefault(data[5:13], process) is not process:
            self.wrong(f"{process.name} has the boot id of another life")
        else:
            self.ok()

    def streamed(self, process: Process, data: bytes, peer: Process) -> None:
        if data[0] not in _PREFACES:
            return
        random = data[5:21]
        if len(random) < 16 or random in self._randoms:
            self.wrong(f"{process.name} began a stream with a random part that was there before")
        else:
            self.ok()
        self._randoms.add(random)


class AcceptedOnce(Checker):
    """What a member takes for good was sealed by a member, and nothing is taken twice, by nobody:
    not what the network repeats, nor what a stranger recorded and plays again, there or elsewhere.
    The last 65,536 datagrams are remembered.
    """

    name: ClassVar[str] = "accepted-once"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._accepted: dict[bytes, bool] = {}
        self._forgotten = False

    def carried(self, process: Process, data: bytes, address: Address) -> None:
        self._accepted[data] = False
        if len(self._accepted) > DATAGRAMS_MAX:
            del self._accepted[next(iter(self._accepted))]
            self._forgotten = True

    def opened(
        self, process: Process, data: bytes, source: Address, packets: Sequence[bytes]
    ) -> None:
        if not packets:
            return
        before = self._accepted.get(data)
        if before:
            self.wrong(f"{process.name} took a datagram from {source} that was taken before")
        elif before is None and not self._forgotten:
            self.wrong(f"{process.name} took a datagram from {source} that nobody sealed")
        else:
            self.ok()
        self._accepted[data] = True
