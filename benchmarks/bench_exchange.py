"""Push, pull and push/pull: how fast one changed record spreads by exchanges alone, and for what.

Real engines in the simulator, all packets lost, so that neither probes nor gossip help. All begin
their exchanges at the same moments and links are equally slow: what a member hears in a round it
passes on in the next, as in the theory. Beside the measured residue, the share of members that
have not heard, stand the curves of Demers et al. 1987 and Karp et al. 2000:

* push: s' = s * exp(s - 1)
* pull: s' = s * s
* push/pull: s' = s * s * exp(s - 1)

Virtual time and counted bytes: the load of the machine does not matter.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path

import attrs
import harness
from exchange_plot import Curve, draw
from harness import Measure, print_measures, print_note

from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Frame, Record, SyncMembers
from trio_gossip.engine.formulas import push_pull_scale
from trio_gossip.testing import Simulation
from trio_gossip.testing.simulation.by_reference import ByReferenceCodec

MODES = ("push", "pull", "push-pull")
LEGS = {"push": 1, "pull": 2, "push-pull": 2}
SIZES = ((10, 40), (100, 8), (1000, 1))
"""Members, and runs of each mode."""

INTERVAL = 1.0
ROUNDS_MAX = 60
HOP_SECONDS = 0.001
NEVER = 1e6


class CountingCodec(ByReferenceCodec):
    """Counts frames and their real bytes. Records of one size are encoded once."""

    def __init__(self) -> None:
        super().__init__()
        self._native = NativeCodec()
        self._sizes: dict[tuple[object, ...], int] = {}
        self._empty = len(self._native.encode_frame(SyncMembers([])))
        self.frames = 0
        self.bytes = 0

    def encode_frame(self, frame: Frame) -> bytes:
        self.frames += 1
        if isinstance(frame, SyncMembers):
            long_head = 0 if len(frame.records) < 24 else 1 if len(frame.records) < 256 else 2
            self.bytes += self._empty + long_head + sum(map(self._size, frame.records))
        else:
            self.bytes += len(self._native.encode_frame(frame))
        return super().encode_frame(frame)

    def _size(self, record: Record) -> int:
        key = (record.name, record.address, record.meta, record.incarnation)
        size = self._sizes.get(key)
        if size is None:
            size = len(self._native.encode_frame(SyncMembers([record]))) - self._empty
            self._sizes[key] = size
        return size


@attrs.frozen
class Spread:
    """One run. After round ``i``: the residue, and bytes and frames that a member has sent."""

    residues: list[float]
    bytes: list[float]
    frames: list[float]

    def rounds_to(self, share: float) -> float:
        """Rounds until so large a share has heard."""
        left = 1.0 - share + 1e-9
        return float(next(at for at, residue in enumerate(self.residues) if residue <= left))

    def residue_at(self, size: float) -> float:
        """The residue when a member had sent so many bytes, or would have sent more."""
        reached = [r for r, sent in zip(self.residues, self.bytes, strict=True) if sent <= size]
        return reached[-1]


def spread(n: int, mode: str, seed: int) -> Spread:
    """Change one record and count rounds until all have it."""
    codec = CountingCodec()
    simulation = Simulation(seed, codec=codec, loss=1.0, latency=(HOP_SECONDS, HOP_SECONDS))
    names = [f"member-{number:04}" for number in range(n)]
    simulation.start_converged(
        names,
        exchange=mode,
        push_pull_interval=INTERVAL / push_pull_scale(n),
        probe_interval=NEVER,
        probe_timeout=1.0,
        rejoin_interval=NEVER,
    )
    step = INTERVAL
    for process in simulation.processes.values():
        # All in step: the first exchange was to come at a random moment before this one.
        process.engine._node.timers.set(("push_pull", 0), simulation.now + step)
    simulation.run(step / 2)
    changed = names[n // 2]
    simulation.do(changed, "update_meta", b"new")
    residues, sent, frames = [1.0 - 1.0 / n], [0.0], [0.0]
    while residues[-1] > 0.0 and len(residues) <= ROUNDS_MAX:
        simulation.run(step)
        stale = sum(
            process.engine.member(changed).meta != b"new"
            for process in simulation.processes.values()
        )
        residues.append(stale / n)
        sent.append(codec.bytes / n)
        frames.append(codec.frames / n)
    return Spread(residues, sent, frames)


def theory(mode: str, n: int, rounds: int) -> list[float]:
    """The expected residue after each round."""
    residues = [1.0 - 1.0 / n]
    for _ in range(rounds):
        s = residues[-1]
        pulled = s if mode == "push" else s * s
        residues.append(pulled if mode == "pull" else pulled * math.exp(s - 1.0))
    return residues


def mean_residues(found: list[Spread]) -> list[float]:
    """The mean over runs after each round; who has finished stays at zero."""
    rounds = max(len(each.residues) for each in found)
    return [
        statistics.fmean(each.residues[at] if at < len(each.residues) else 0.0 for each in found)
        for at in range(rounds)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--runs", type=int, default=None, help="of each mode and size")
    parser.add_argument("--nodes", type=int, default=None, help="this size only")
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--svg", type=Path, default=None, help="draw the largest size there")
    options = parser.parse_args()
    sizes = SIZES[:2] if options.quick else SIZES
    if options.nodes:
        sizes = ((options.nodes, 1),)
    parameters = {"seed": options.seed, "interval": INTERVAL}
    harness.describe_run("One changed record, spread by exchanges alone (simulated)", parameters)
    rounds, traffic, residues, curves = [], [], [], []
    for n, usual in sizes:
        runs = options.runs or (2 if options.quick else usual)
        found = {
            mode: [spread(n, mode, options.seed + number) for number in range(runs)]
            for mode in MODES
        }
        print_note(f"{n} members")
        one_table = statistics.fmean(each.bytes[1] for each in found["pull"])
        for mode in MODES:
            these = found[mode]
            label = f"N={n} {mode}, {LEGS[mode]} leg{'s' * (LEGS[mode] > 1)}"
            expected = theory(mode, n, ROUNDS_MAX)
            for share in (0.5, 0.99, 1.0):
                ideal = next(at for at, s in enumerate(expected) if s <= max(1.0 - share, 0.5 / n))
                samples = [each.rounds_to(share) for each in these]
                rounds.append(
                    Measure(f"{label}: to {share:.0%} (theory {ideal})", "rounds", samples)
                )
            traffic += [
                Measure(f"{label}: frames", "", [each.frames[-1] for each in these]),
                Measure(f"{label}: bytes", "KB", [each.bytes[-1] / 1000 for each in these]),
            ]
            for tables in (2, 4, 8):
                at_most = [each.residue_at(tables * one_table) for each in these]
                residues.append(Measure(f"{label}: after {tables} tables", "", at_most))
            curves.append(Curve(n, mode, mean_residues(these), expected))
    print_measures("Rounds until so many members have it", rounds)
    print_measures("Sent by each member until all have it", traffic)
    print_measures("Residue when each member has sent the bytes of so many tables", residues)
    if options.svg:
        largest = max(curve.members for curve in curves)
        options.svg.write_text(draw([each for each in curves if each.members == largest]))
    harness.finish()


if __name__ == "__main__":
    main()
