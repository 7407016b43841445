"""The contract of :class:`trio_gossip.transport.Transport` as tests, for anybody's transport.

Subclass :class:`TransportContract` in a test module, say how to open two transports that reach
each other, and pytest with pytest-trio (``trio_mode = true``) runs every rule on them::

    class TestMine(TransportContract):
        @asynccontextmanager
        async def open_pair(self):
            async with await open_mine() as left, await open_mine() as right:
                yield left, right

The two must lose nothing while little is sent. This file and the folder ``rules`` beside it need
only trio, trio-gossip and ``trio.testing``: copy both, or import them where the repository is at
hand. The imports between them are relative, so that the copy can lie anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import trio
import trio.testing

from .rules.addresses import AddressRules
from .rules.closing import ClosingRules
from .rules.dialling import DiallingRules
from .rules.evidence import EvidenceRules
from .rules.packets import PacketRules
from .rules.receiving import ReceivingRules
from .rules.streams import StreamRules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

S = TypeVar("S")


class TransportContract(
    AddressRules,
    PacketRules,
    ReceivingRules,
    DiallingRules,
    EvidenceRules,
    StreamRules,
    ClosingRules,
):
    """Every rule of the contract. Override :meth:`open_pair`, and what else differs for you:
    the attributes and methods of :class:`.rules.base.Rules`.
    """


def on_autojump_clock(suite: type[S]) -> type[S]:
    """Decorates a subclass for a network without real time: its tests jump over every wait.

    pytest-trio takes a clock only from the arguments of a test, so each test gets one more.
    """
    for name in dir(suite):
        if name.startswith("test_"):
            setattr(suite, name, _with_clock(getattr(suite, name)))
    return suite


def _with_clock(test: Callable[[Any], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def clocked(self: Any, autojump_clock: trio.testing.MockClock) -> None:
        assert trio.lowlevel.current_clock() is autojump_clock
        await test(self)

    # Not functools.wraps: pytest would follow it to the arguments of the inner function.
    clocked.__name__, clocked.__doc__ = test.__name__, test.__doc__
    return clocked
