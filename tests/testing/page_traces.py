"""Small runs for tests of the page: one made by hand, one simulated."""

from __future__ import annotations

from collections.abc import Callable

from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Ping
from trio_gossip.testing import Simulation, Trace

HOSTILE = "</script><img src=x onerror=document.title='owned'> & 'b' incarnation=3 alive"
"""A name that a member may really have: printable text."""


def packed(message: object) -> bytes:
    codec = NativeCodec()
    return codec.pack([codec.encode(message)])


def event(kind: str, name: str, reason: str = "announced", accusers: str = "") -> str:
    return f"{kind} {name} incarnation=1 {reason}" + (f" accusers={accusers}" if accusers else "")


def by_hand(*, names: tuple[str, str, str] = ("a", "b", "c")) -> Trace:
    """Three members that know each other at 1 s. The third crashes at 2 s, is suspected by the
    first at 3 s and by the second at 3.5 s, and is failed for them at 5 s and at 6 s.
    """
    a, b, c = names
    trace = Trace()
    for name in names:
        trace.add(0.0, "start", name, f"{name}:7946", "incarnation 1")
    for observer in names:
        for subject in names:
            trace.add(1.0, "event", observer, "", event("MemberJoined", subject))
    ping, ack = packed(Ping(1, b, a)), packed(Ack(1))
    trace.add(1.5, "send", a, b, ping)
    trace.add(1.501, "deliver", b, a, ping)
    trace.add(1.501, "send", b, a, ack)
    trace.add(1.501, "lose", b, a, "loss")
    trace.add(2.0, "end", c, "", "crash")
    trace.add(2.5, "send", a, f"{c}:7946", packed(Ping(2, c, a)))
    trace.add(2.5, "lose", a, f"{c}:7946", "nobody")
    trace.add(3.0, "event", a, "", event("MemberSuspected", c, "probe_failed", a))
    trace.add(3.5, "event", b, "", event("MemberSuspected", c, "accused", a))
    trace.add(5.0, "event", a, "", event("MemberFailed", c, "suspicion_expired", f"{a},{b}"))
    trace.add(6.0, "event", b, "", event("MemberFailed", c, "reported", a))
    trace.add(8.0, "note", "", "", "the end")
    return trace


def simulated(
    nodes: int = 8, *, act: Callable[[Simulation], None] = lambda _: None, seconds: float = 25.0
) -> tuple[Simulation, Trace]:
    """A cluster that has formed, and then what ``act`` does to it."""
    trace = Trace()
    simulation = Simulation(3, trace=trace, loss=0.05)
    for number in range(nodes):
        simulation.start(f"n{number}")
        simulation.join(f"n{number}", *[f"n{before}" for before in range(min(number, 3))])
        simulation.run(0.05)
    simulation.run(3.0)
    act(simulation)
    simulation.run(seconds)
    return simulation, trace
