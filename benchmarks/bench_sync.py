"""What anti-entropy costs, and how soon it repairs a missed update: real engines, simulated links.

Bytes: two engines with tables of 1,000 members that differ in some, from the ping until their
sums are equal. All bytes of both that are not in a ping and an ack without summaries. Repair: one
member of a resting cluster has missed one update that all others have, and gossip is over.
Rest: bytes of a cluster in which nothing happens, packets and streams, without UDP, IP and TCP.
"""

from __future__ import annotations

import argparse
import random
import statistics

import attrs
import harness
from harness import Measure, percentile, print_measures

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Ping
from trio_gossip.config import Config
from trio_gossip.engine import Engine, OpenExchange, SendFrame, SendPacket
from trio_gossip.members import Member, MemberState
from trio_gossip.testing import Observer, Simulation
from trio_gossip.testing.checkers.inside import node_of
from trio_gossip.testing.simulation.shared_table import SharedTable, TableBase

CODEC = NativeCodec()
MEMBERS = 1000
META = b"m" * 64
FULL_BYTES = 224_000.0
"""Two whole tables of 1,000 members with records of 103 bytes, without compression."""
AIMS = {(0, True): 18, (0, False): 18, (1, True): 130, (10, True): 3000, (100, True): 17000} | {
    (1, False): 620
}
EXCHANGES_MOST = 200
WARM_SECONDS = 2.0
REPAIR_MOST = 60.0
SPREAD_SECONDS = 2.0
MEMBERLIST_REPAIR = {30: "11 / 29", 100: "33 / 88", 1000: "66 / 175"}
"""Mean and 99th percentile of repair by push/pull alone: its interval / e, and 0.97 of it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--trials", type=int, default=None, help="missed updates for each row")
    parser.add_argument("--rest", type=float, default=None, help="virtual seconds of rest")
    parser.add_argument("--sizes", type=int, nargs="*", default=[30, 100], help="cluster sizes")
    options = parser.parse_args()
    trials = options.trials or (10 if options.quick else 300)
    rest = options.rest or (60.0 if options.quick else 600.0)
    harness.describe_run("Anti-entropy", {"trials": trials, "rest": rest, "sizes": options.sizes})
    print_measures(f"Bytes of a sync, N={MEMBERS}", list(bytes_measures()))
    print_measures("Seconds until a missed update is repaired", repair_measures(options, trials))
    print_measures("Bytes a second of each member at rest", rest_measures(options, rest))
    harness.finish()


# -- bytes ------------------------------------------------------------------------------------


class PairTable(SharedTable):
    """A table whose owner probes one and the same member."""

    other = ""

    def next_in_walk(self, wanted, rng):
        del wanted, rng
        return self.get(self.other)


class Pair:
    """Two engines; what they send to others is lost, and what they send to each other counted."""

    def __init__(self, mine: TableBase, theirs: TableBase, names: tuple[str, str]) -> None:
        self.now = 100.0
        self.bytes = 0
        self.packets = 0
        self.pings = 0
        self.streams = 0
        self.exchanges: dict[tuple[str, int], tuple[str, int]] = {}
        self.engines: dict[str, Engine] = {}
        for seed, (name, base) in enumerate(zip(names, (mine, theirs), strict=True)):
            rng = random.Random(seed)
            table = PairTable(base, rng)
            table.other = names[1 - seed]
            self.engines[name] = Engine(
                Config.lan(name=name, meta=META, push_pull_interval=1e6, rejoin_interval=1e6),
                base.rows[name].member.address,
                rng=rng,
                packet_limit=1400,
                incarnation=base.rows[name].member.incarnation,
                table=table,
            )
        self.at = {base.rows[name].member.address: name for name in names}

    def start(self, prober: str) -> None:
        """Begin; only ``prober`` probes."""
        for name, engine in self.engines.items():
            self.perform(name, engine.start(now=self.now, known=True))
        self.prober = prober

    def step(self) -> None:
        """One probe, and all that follows from it at once."""
        engine = self.engines[self.prober]
        before = self.pings
        while self.pings == before:
            self.now = max(self.now, engine.next_deadline)
            self.perform(self.prober, engine.handle_timeout(now=self.now))

    def perform(self, name: str, outputs: list) -> None:
        for output in outputs:
            if type(output) is SendPacket and output.address in self.at:
                self.packet(name, self.at[output.address], output.data)
            elif type(output) is OpenExchange:
                self.dial(name, output)
            elif type(output) is SendFrame:
                self.frame(name, output)

    def packet(self, name: str, to: str, data: bytes) -> None:
        self.bytes += len(data) - plain_size(data)
        self.packets += not plain_size(data)
        self.pings += type(CODEC.unpack_untrusted(data)[0]) is Ping
        address = next(address for address, who in self.at.items() if who == name)
        self.perform(to, self.engines[to].receive_packet(data, address, now=self.now))

    def dial(self, name: str, output: OpenExchange) -> None:
        to = self.at.get(output.address)
        if to is None:
            return
        self.streams += 1
        exchange = self.engines[to].new_exchange()
        self.exchanges[(name, output.exchange)] = (to, exchange)
        self.exchanges[(to, exchange)] = (name, output.exchange)
        source = Address("dialler", 1)
        outputs = self.engines[to].exchange_accepted(exchange, source, now=self.now)
        self.perform(to, outputs)
        opened = self.engines[name].exchange_opened(output.exchange, now=self.now)
        self.perform(name, opened)

    def frame(self, name: str, output: SendFrame) -> None:
        to, exchange = self.exchanges[(name, output.exchange)]
        self.bytes += len(output.data)
        received = self.engines[to].exchange_received(exchange, output.data, now=self.now)
        self.perform(to, received)
        if output.more:
            written = self.engines[name].exchange_writable(output.exchange, now=self.now)
            self.perform(name, written)

    def is_equal(self) -> bool:
        one, other = (engine._node.table.tally for engine in self.engines.values())
        return one.digest == other.digest


def plain_size(data: bytes) -> int:
    """Bytes of a ping or ack without its summary, 0 for a packet of something else."""
    first = CODEC.unpack_untrusted(data)[0]
    if not isinstance(first, Ping | Ack):
        return 0
    plain = attrs.evolve(first, summary=b"")
    return len(CODEC.pack([CODEC.encode(plain)]))


def bytes_measures():
    for differences in (0, 1, 10, 100):
        for known in (True, False):
            for behind in (True, False):
                found = [sync(differences, known, behind, seed) for seed in range(5)]
                what = f"{differences} differ, log {'known' if known else 'lost'}"
                what += ", asker behind" if behind else ", asker ahead"
                yield Measure(
                    what,
                    "bytes",
                    [total for total, _ in found],
                    AIMS.get((differences, known)),
                    memberlist=f"{FULL_BYTES:,.0f}",
                    by_mean=True,
                )
                packets = [float(count) for _, count in found]
                yield Measure(f"  further packets, {what}", "", packets)


def sync(differences: int, known: bool, behind: bool, seed: int) -> tuple[float, float]:
    """Bytes and further packets of one sync."""
    rng = random.Random(seed)
    old = [
        Member(
            f"member-{n:04}",
            Address(f"10.0.{n // 250}.{n % 250 + 1}", 7946),
            MemberState.ALIVE,
            1_700_000_000,
            META,
        )
        for n in range(MEMBERS)
    ]
    changed = {
        member.name: attrs.evolve(member, incarnation=member.incarnation + 1)
        for member in rng.sample(old[2:], differences)
    }
    names = (old[0].name, old[1].name)
    base = TableBase.of(old)
    news = TableBase.of([changed.get(member.name, member) for member in old])
    pair = Pair(base, base if known else news, names)
    pair.start(names[0] if behind else names[1])
    if known:
        table = pair.engines[names[1]]._node.table
        for member in changed.values():
            table.replace(table.get(member.name), member, now=pair.now)
    pair.now += 5.0
    for _ in range(EXCHANGES_MOST):
        before = pair.bytes
        pair.step()
        if pair.is_equal() and pair.bytes > before:
            return float(pair.bytes), float(pair.packets)
    raise SystemExit(f"no sync of {differences} differences after {EXCHANGES_MOST} probes")


# -- time ---------------------------------------------------------------------------------------


def repair_measures(options: argparse.Namespace, trials: int) -> list[Measure]:
    found = []
    for nodes in options.sizes:
        for loss in (0.0, 0.05, 0.25):
            harness.print_note(f"missed updates, N={nodes}, loss {loss:.0%}")
            seconds = missed_updates(nodes, loss, trials)
            calm = loss <= 0.05
            what = f"N={nodes}, loss {loss:.0%}"
            reference = f"{MEMBERLIST_REPAIR.get(nodes, '30 to 180')} (no loss)"
            aim = 0.5 if calm else None
            found.append(Measure(what, "s", seconds, aim, memberlist=reference, by_mean=True))
            late = [percentile(seconds, 0.99)]
            found.append(Measure("  99th percentile", "s", late, 2.0 if calm else None))
    return found


def missed_updates(nodes: int, loss: float, trials: int) -> list[float]:
    """Seconds until one member has what all others have, for each trial."""
    rng = random.Random(f"{nodes} {loss} {trials}")
    simulation = Simulation(1, latency=(0.0005, 0.0015), loss=loss)
    names = [f"n{number:04}" for number in range(nodes)]
    simulation.start_converged(names)
    simulation.run(WARM_SECONDS)
    found = []
    for _ in range(trials):
        simulation.run(rng.random() * SPREAD_SECONDS)
        subject, victim = rng.sample(names, 2)
        incarnation = max(
            process.engine.member(subject).incarnation
            for process in simulation.processes.values()
            if process.engine.member(subject) is not None
        )
        for process in simulation.processes.values():
            node = node_of(process)
            entry = node.table.get(subject)
            if process.name != victim and entry is not None:
                newer = attrs.evolve(
                    entry.member, state=MemberState.ALIVE, incarnation=incarnation + 1
                )
                if entry.member.state is MemberState.ALIVE:
                    node.table.replace(entry, newer, now=node.now)
        table = node_of(simulation.processes[victim]).table
        began = simulation.now

        def has_it(table=table, subject=subject, incarnation=incarnation) -> bool:
            entry = table.get(subject)
            return entry is not None and entry.member.incarnation > incarnation

        simulation.run_until(has_it, REPAIR_MOST)
        found.append(simulation.now - began)
    return found


# -- rest -----------------------------------------------------------------------------------------


class Frames(Observer):
    """Bytes of all frames."""

    def __init__(self) -> None:
        self.bytes = 0

    def turned(self, process, outputs) -> None:
        del process
        self.bytes += sum(len(each.data) for each in outputs if type(each) is SendFrame)


def rest_measures(options: argparse.Namespace, seconds: float) -> list[Measure]:
    found = []
    for nodes in options.sizes:
        for summaries in (True, False):
            harness.print_note(f"rest, N={nodes}, summaries {summaries}")
            packets, streams = bytes_at_rest(nodes, seconds, summaries)
            what = f"N={nodes}{'' if summaries else ', without summaries'}"
            aim = 80.0 if summaries else None
            found.append(Measure(f"{what}: packets", "bytes/s", [packets], aim, memberlist="106"))
            found.append(Measure("  streams (push/pull)", "bytes/s", [streams]))
            found.append(Measure("  together", "bytes/s", [packets + streams]))
    return found


def bytes_at_rest(nodes: int, seconds: float, summaries: bool) -> tuple[float, float]:
    """Bytes a second that a member sends in packets and in streams."""
    simulation = Simulation(1, latency=(0.0005, 0.0015))
    frames = Frames()
    simulation.observe(frames)
    names = [f"n{number:04}" for number in range(nodes)]
    processes = simulation.start_converged(names, summaries=summaries)
    simulation.run(WARM_SECONDS)
    before = [process.bytes_sent for process in processes]
    frames.bytes = 0
    simulation.run(seconds)
    sent = [process.bytes_sent - base for process, base in zip(processes, before, strict=True)]
    return statistics.fmean(sent) / seconds, frames.bytes / seconds / nodes


if __name__ == "__main__":
    main()
