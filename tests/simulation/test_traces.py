"""The simulator: who looks at it, and what is recorded."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.forming import cluster
from trio_gossip import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ping
from trio_gossip.testing import Observer, Simulation, Trace
from trio_gossip.testing.sealed import NativeSealing, key_of

CODEC = NativeCodec()


# -- observers and traces ---------------------------------------------------------------


class Everything(Observer):
    """Counts the calls of every hook."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def _count(self, hook: str) -> None:
        self.calls[hook] = self.calls.get(hook, 0) + 1

    def started(self, process: object) -> None:
        self._count("started")

    def ended(self, process: object, how: str) -> None:
        self._count("ended")

    def event(self, process: object, event: object) -> None:
        self._count("event")

    def completed(self, process: object, complete: object) -> None:
        self._count("completed")

    def changed(self, process: object, name: str, before: object, after: object) -> None:
        assert before is not None or after is not None
        assert before != after
        self._count("changed")

    def sent(self, process: object, data: bytes, address: Address) -> None:
        self._count("sent")

    def arrived(self, process: object, data: bytes, source: Address) -> None:
        self._count("arrived")

    def lost(self, process: object, data: bytes, address: Address, reason: str) -> None:
        self._count("lost")

    def refused(self, process: object, address: Address, due: float) -> None:
        self._count("refused")

    def carried(self, process: object, data: bytes, address: Address) -> None:
        self._count("carried")

    def opened(
        self, process: object, data: bytes, source: Address, packets: Sequence[bytes]
    ) -> None:
        self._count("opened")

    def streamed(self, process: object, data: bytes, peer: object) -> None:
        self._count("streamed")

    def turned(self, process: object, outputs: list[object]) -> None:
        self._count("turned")

    def injected(self, kind: str, names: tuple[str, ...]) -> None:
        self._count("injected")


def test_an_observer_sees_every_step_and_disturbs_none() -> None:
    watched = Everything()
    digests = []
    for observer in (None, watched):
        simulation = Simulation(5, loss=0.1, sealing=NativeSealing([key_of(5)]))
        if observer is not None:
            simulation.observe(observer)
        for name in "abc":
            simulation.start(name)
            simulation.join(name, "a")
        simulation.run(10.0)
        simulation.crash("c")
        simulation.note("test", ["a"], "said so")
        simulation.run(60.0)
        digests.append(simulation.digest())
    assert digests[0] == digests[1]
    assert set(watched.calls) == {name for name in vars(Observer) if not name.startswith("_")}, (
        "each hook was called"
    )


def test_a_trace_reads_like_a_log_and_says_where_two_runs_part() -> None:
    traces = []
    for crash_at in (5.0, 6.0):
        trace = Trace()
        simulation = cluster("a", "b", "c", trace=trace)
        simulation.run(crash_at)
        simulation.crash("c")
        simulation.run(15.0)
        traces.append(trace)
    text = "\n".join(traces[0].lines())
    assert "a -> b" in text
    assert "ping b" in text
    assert "event    a MemberFailed c" in text
    assert traces[0].diff(traces[0]) == ""
    difference = traces[0].diff(traces[1]).splitlines()
    assert "differ from record" in difference[0]
    assert difference[4].startswith("- ")
    assert "end" in difference[4]


def test_a_trace_keeps_what_it_may_and_digests_all() -> None:
    small, large = Trace(keep=10), Trace()
    for trace in (small, large):
        for number in range(2000):
            trace.add(float(number), "note", "a", "", str(number))
    assert small.digest() == large.digest()
    assert (len(small), small.dropped, small.count) == (10, 1990, 2000)
    assert next(iter(small))[4] == "1990"


def notes(count: int, keep: int = 1000, *, other: int = -1, shift: float = 0.0) -> Trace:
    """A trace of numbered notes, one of which may be different."""
    trace = Trace(keep=keep)
    for number in range(count):
        text = "different" if number == other else str(number)
        trace.add(float(number) + shift, "note", "a", "", text)
    return trace


def test_a_difference_among_dropped_records_is_not_passed_over() -> None:
    dropped = "the runs differ in a record that was dropped"
    assert notes(50, 10).diff(notes(50, 10, other=3)) == dropped
    assert notes(50, 0).diff(notes(50, 0, other=3)) == dropped
    assert notes(50, 10).diff(notes(50, 20, other=35)) == dropped, "only one has kept it"
    assert notes(50, 10).diff(notes(50, 10)) == ""
    assert notes(50, 10).diff(notes(50, 40)) == "", "the same run, kept in part"


def test_records_are_numbered_from_the_first_of_the_run() -> None:
    difference = notes(50, 10).diff(notes(50, 10, other=45)).splitlines()
    assert difference[0].startswith("the runs differ from record 45 on (or before record 40")
    assert difference[4].endswith("note     a 45")
    ahead = notes(50, 10).diff(notes(47, 10)).splitlines()
    assert ahead[0].startswith("the runs differ from record 47 on")
    assert ahead[-1] == "+ (ended)"
    whole = notes(50).diff(notes(50, other=3)).splitlines()
    assert whole[0] == "the runs differ from record 3 on:"
    assert (
        notes(50, 10)
        .diff(notes(50, 30, other=45))
        .splitlines()[0]
        .startswith("the runs differ from record 45 on")
    ), "aligned, though one has kept more"


def test_times_differ_only_if_the_digests_tell_them_apart() -> None:
    assert notes(5).diff(notes(5, shift=1e-12)) == ""
    late = notes(5, shift=1e-12, other=3)
    assert notes(5).diff(late).splitlines()[0] == "the runs differ from record 3 on:"


def test_an_undecodable_packet_is_shown_as_such() -> None:
    trace = Trace()
    trace.add(1.0, "send", "a", "b", b"garbage")
    ping = CODEC.pack([CODEC.encode(Ping(1, "b", "a", None))])
    trace.add(1.5, "send", "a", "b", ping)
    assert [line.split("] ")[-1] for line in trace.lines()][1] == "ping b"
    assert "undecodable" in next(trace.lines())
