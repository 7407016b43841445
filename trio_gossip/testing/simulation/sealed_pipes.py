"""Streams of a sealed cluster: prefaces first, then records, and bad keys that end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.failures import DialFailure
from trio_gossip.testing.simulation.pipes import End, Pipes

if TYPE_CHECKING:
    from trio_gossip.engine import CloseExchange, OpenExchange
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.sealing import StreamSeal

DIALS_MAX: Final = 2
"""Dials for one stream: who is given newer keys tries once more, as the transport does."""


@attrs.define(eq=False)
class _Layer:
    """What lies between an engine and its end of a stream."""

    seal: StreamSeal
    opened: bool
    """The engine knows of the stream; the one that dialled hears of it after the handshake."""
    pending: list[bytes] = attrs.Factory(list[bytes])
    """What the engine said before there was a key to seal it with."""
    closing: bool = False
    """The engine has closed it, and something is pending: nothing is told to it any more."""
    shut: bool = False
    """Nothing happens here any more."""


class SealedPipes(Pipes):
    """All open streams of a sealed cluster. What arrives for a member that cannot run waits, and
    its handshake with it.
    """

    def dial(self, process: Process, output: OpenExchange) -> None:
        """See :class:`Pipes`; the stream is open when the prefaces have been exchanged."""
        self._dial(process, output, 1)

    def _dial(self, process: Process, output: OpenExchange, number: int) -> None:
        super().dial(process, output)
        self._ends[process][output.exchange].dials = number

    def _linked(self, here: End, there: End) -> None:
        for end, accepted in ((there, True), (here, False)):
            seal = end.process.seal
            assert seal is not None, "a plain process in a sealed cluster"
            end.layer = _Layer(seal.stream(accepted=accepted), opened=accepted)
        self._accepted(there, here.process.address.host)
        process = here.process
        self._runtime.give(process, process.engine.exchange_connected, here.exchange)
        self._runtime.give(here.process, self.feed, here, b"")

    # -- from the network ---------------------------------------------------------------

    def _received(self, end: End, data: bytes) -> None:
        self._runtime.give(end.process, self.feed, end, data)

    def feed(self, end: End, data: bytes, *, now: float) -> list[Output]:
        """Bytes have come that its process can look at now; nothing with none."""
        layer = _layer_of(end)
        if layer.shut:
            return []
        fed = layer.seal.feed(data) if data else None
        self._send(end, layer.seal.take_outgoing())
        if fed is None:
            return []
        if fed.again and self._dial_again(end, layer):
            return []
        if fed.again or fed.fault:
            self._fail(end, DialFailure.RESET if layer.opened else DialFailure.HANDSHAKE)
            return []
        self._go_on(end, layer)
        if fed.content and not (layer.closing or layer.shut):
            engine = end.process.engine
            self._runtime.turn(end.process, engine.exchange_received, end.exchange, fed.content)
        if layer.seal.ended:
            self._fail(end, DialFailure.RESET)
        return []

    def _go_on(self, end: End, layer: _Layer) -> None:
        """Do what waited for the handshake."""
        if not layer.seal.can_seal:
            return
        if not layer.opened:
            layer.opened = True
            engine = end.process.engine
            self._runtime.turn(end.process, engine.exchange_opened, end.exchange)
        pending, layer.pending = layer.pending, []
        for piece in pending:
            self._send(end, layer.seal.seal(piece))
        if layer.closing:
            self._shut(end, layer)

    def _dial_again(self, end: End, layer: _Layer) -> bool:
        """Give up this connection and open another for the same stream, with the new keys."""
        asked = end.asked
        if asked is None or layer.closing or end.dials >= DIALS_MAX:
            return False
        self._shut(end, layer)
        self._runtime.note("fault", end.process.name, "", "was given the keys of the cluster")
        self._dial(end.process, asked, end.dials + 1)
        return True

    def _broken(self, end: End, failure: DialFailure = DialFailure.RESET) -> None:
        if end.layer is None:
            super()._broken(end, failure)
        else:
            self._runtime.give(end.process, self.cut, end, failure)

    def cut(self, end: End, failure: DialFailure, *, now: float) -> list[Output]:
        """The stream has ended, after all that came before."""
        self._fail(end, failure)
        return []

    def _fail(self, end: End, failure: DialFailure) -> None:
        layer = _layer_of(end)
        if layer.shut:
            return
        self._shut(end, layer)
        if not layer.closing:
            engine = end.process.engine
            self._runtime.turn(end.process, engine.exchange_failed, end.exchange, failure)

    # -- from the engine ----------------------------------------------------------------

    def _say(self, end: End, data: bytes) -> None:
        layer = _layer_of(end)
        if layer.seal.can_seal:
            self._send(end, layer.seal.seal(data))
        else:
            layer.pending.append(data)

    def close(self, process: Process, output: CloseExchange) -> None:
        """See :class:`Pipes`; what the engine said before is sent as soon as it can be sealed."""
        end = self._ends.get(process, {}).get(output.exchange)
        if end is None or end.layer is None:
            super().close(process, output)
            return
        layer = _layer_of(end)
        if layer.pending and not layer.seal.can_seal and end.peer is not None:
            layer.closing = True
            patience = process.config.stream_timeout
            self._schedule.after(patience, self._shut, end, layer)
        else:
            self._shut(end, layer)

    def _shut(self, end: End, layer: _Layer) -> None:
        """End it on this side: with the word that nothing more comes, if that can be sealed."""
        if layer.shut:
            return
        layer.shut = True
        ends = self._ends.get(end.process, {})
        if ends.get(end.exchange) is end:
            del ends[end.exchange]
        if layer.seal.can_seal:
            self._send(end, layer.seal.end())
        self._leave(end)

    # -- what others may see ------------------------------------------------------------

    def _send(self, end: End, data: bytes) -> None:
        if not data:
            return
        if end.peer is not None:
            for hook in self._runtime.hooks.streamed:
                hook(end.process, data, end.peer.process)
        super()._send(end, data)


def _layer_of(end: End) -> _Layer:
    layer = end.layer
    assert isinstance(layer, _Layer), "used before the two ends had found each other"
    return layer
