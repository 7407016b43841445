"""Losses, cuts and blackouts between hosts: who is declared failed, how soon, and who wrongly.

Every host has one member of each side, so that all meet the same network at the same time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from harness import percentile, print_note

from detection.arena import FAILED, SUSPECTED, Arena, pump_all, wait_all
from detection.namespaces import Network
from detection.tables import print_table

BLACKOUT_SECONDS = 3.0
ONE_WAY_SECONDS = 30.0
GONE_LIMIT = 60.0
BACK_LIMIT = 45.0
AFTER_SECONDS = 8.0
"""After a fault has ended: until what was said because of it is over."""

HEAD = ("", "", "times", "suspicions", "false deaths", "all know (s)", "all back (s)", "")


class Cuts:
    """Runs cases one after another on the same clusters; ``rows`` are what they found.

    Args:
        network: the hosts.
        arenas: one cluster for each side, on all of them.
    """

    def __init__(self, network: Network, arenas: Sequence[Arena]) -> None:
        self._network = network
        self._arenas = arenas
        self.rows: list[tuple[str, ...]] = []
        self.samples: dict[str, dict[str, dict[str, list[float]]]] = {}

    def lose(self, share: float, seconds: float) -> None:
        """Some packets vanish, for long."""
        began = time.monotonic()
        self._network.lose(share)
        pump_all(self._arenas, seconds)
        self._mend()
        self._note(f"{share:.0%} loss for {seconds:g} s", began, 1)

    def one_way(self, times: int) -> None:
        """Nothing of one host reaches half of the others: nobody is dead."""
        began = time.monotonic()
        n = len(self._network.hosts)
        for number in range(times):
            source = number % n
            others = [host for host in range(n) if host != source]
            self._network.cut_one_way(source, others[: len(others) // 2])
            pump_all(self._arenas, ONE_WAY_SECONDS)
            self._mend()
        self._note(f"one cannot reach half, {ONE_WAY_SECONDS:g} s", began, times)

    def deaf(self, times: int) -> None:
        """Nothing reaches one host: it alone is declared failed."""
        began = time.monotonic()
        for number in range(times):
            self._network.deafen(number)
            self._suffer(number, ONE_WAY_SECONDS)
            self._network.drop([])
            self._recover()
        self._note(f"one is deaf, {ONE_WAY_SECONDS:g} s", began, times)

    def blackout(self, times: int, *, everybody: bool) -> None:
        """A silence of three seconds, of one host or of the whole network."""
        began = time.monotonic()
        for number in range(times):
            if everybody:
                self._network.black_out()
                pump_all(self._arenas, BLACKOUT_SECONDS)
            else:
                self._network.plug(number, connected=False)
                pump_all(self._arenas, BLACKOUT_SECONDS)
                self._network.plug(number, connected=True)
            self._mend()
        whom = "of all" if everybody else "of one host"
        self._note(f"blackout {whom}, {BLACKOUT_SECONDS:g} s", began, times)

    def gone(self, times: int) -> None:
        """The cable of a host is taken away; later it is put back."""
        began = time.monotonic()
        known: dict[str, list[float]] = {arena.side.name: [] for arena in self._arenas}
        back: dict[str, list[float]] = {arena.side.name: [] for arena in self._arenas}
        n = len(self._network.hosts)
        for number in range(times):
            at = time.monotonic()
            self._network.plug(number, connected=False)
            victim = self._arenas[0].names[number]
            excuses = [
                (arena.excuse(victim, since=at), arena.excuse(observer=victim, since=at))
                for arena in self._arenas
            ]

            def heard(arena: Arena, victim: str = victim, at: float = at) -> dict[str, float]:
                return {
                    observer: moment
                    for observer, moment in arena.heard(victim, FAILED, at).items()
                    if observer != victim
                }

            wait_all(self._arenas, lambda arena: len(heard(arena)) == n - 1, "all know", GONE_LIMIT)
            for arena in self._arenas:
                known[arena.side.name].append(max(heard(arena).values()) - at)
            self._network.plug(number, connected=True)
            mended = time.monotonic()
            for arena, seconds in self._recover().items():
                back[arena.side.name].append(seconds)
            for pair in excuses:
                for excuse in pair:
                    excuse.until = mended + BACK_LIMIT
            self._end_excuses(time.monotonic())
            print_note(f"host gone {number + 1} of {times}: {_text(known)}")
        self._note("host gone, cable out", began, times, known, back)

    # -- inside -------------------------------------------------------------------------

    def _suffer(self, host: int, seconds: float) -> None:
        """Let a fault of one host last; its own verdicts, and those on it, are no mistakes."""
        at = time.monotonic()
        for arena in self._arenas:
            arena.excuse(arena.names[host], since=at)
            arena.excuse(observer=arena.names[host], since=at)
        pump_all(self._arenas, seconds)

    def _mend(self) -> None:
        self._network.drop([])
        pump_all(self._arenas, AFTER_SECONDS)
        self._recover()

    def _recover(self) -> dict[Arena, float]:
        """Wait until all see all; who cannot by itself is started again. Seconds by cluster."""
        began = time.monotonic()
        seconds: dict[Arena, float] = {}
        while len(seconds) < len(self._arenas) and time.monotonic() < began + BACK_LIMIT:
            for arena in self._arenas:
                arena.pump(0.05)
                if arena not in seconds and arena.is_whole():
                    seconds[arena] = time.monotonic() - began
        for arena in self._arenas:
            if arena not in seconds:
                seconds[arena] = math.inf
                self._start_again(arena)
        self._end_excuses(time.monotonic())
        return seconds

    def _start_again(self, arena: Arena) -> None:
        """The members that are not seen by all, or do not see all."""
        up = set(arena.names)
        lost = [
            name
            for name in arena.names
            if sum(name in view for view in arena.views.values()) <= len(up) // 2
        ] or [name for name in arena.names if set(arena.views[name]) != up]
        print_note(f"{arena.side.name}: started again by hand: {', '.join(lost)}")
        for name in lost:
            arena.excuse(name, since=arena.kill(name))
        pump_all([arena], 1.0)
        for name in lost:
            arena.launch(name)
        arena.wait(arena.is_whole, "all see all again", GONE_LIMIT)

    def _end_excuses(self, at: float) -> None:
        for arena in self._arenas:
            for excuse in arena.excuses:
                excuse.until = min(excuse.until, at)

    def _note(
        self,
        what: str,
        began: float,
        times: int,
        known: dict[str, list[float]] | None = None,
        back: dict[str, list[float]] | None = None,
    ) -> None:
        self.samples[what] = {"known": known or {}, "back": back or {}}
        for arena in self._arenas:
            name = arena.side.name
            suspected, failed = arena.wrong(SUSPECTED, began), arena.wrong(FAILED, began)
            verdict = ("MISSED" if failed else "ok") if name == "lan" else ""
            self.rows.append(
                (
                    *(what, name, f"{times}", f"{len(suspected)}", f"{len(failed)}"),
                    *(_spread((known or {}).get(name)), _spread((back or {}).get(name)), verdict),
                )
            )
        print_note("; ".join(" ".join(row) for row in self.rows[-len(self._arenas) :]))


def report_cuts(rows: Sequence[tuple[str, ...]], hosts: int) -> None:
    """Print what was found; suspicions and deaths are events, counted at each observer."""
    title = f"{hosts} hosts in namespaces (times: mean/p50/max; suspicions of the healthy)"
    print_table(title, HEAD, rows, left=(0, 1, len(HEAD) - 1))


def _spread(samples: Sequence[float] | None) -> str:
    if not samples:
        return ""
    seen = [sample for sample in samples if math.isfinite(sample)]
    never = f", never {len(samples) - len(seen)}" if len(seen) < len(samples) else ""
    if not seen:
        return f"never {len(samples)}"
    middle = f"{sum(seen) / len(seen):.2f}/{percentile(seen, 0.5):.2f}"
    return f"{middle}/{max(seen):.2f}{never}"


def _text(samples: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {values[-1]:.2f}" for name, values in samples.items())
