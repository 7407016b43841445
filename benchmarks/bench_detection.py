"""How long a death goes unnoticed, and who is declared dead without being so.

By default real processes on loopback: each member is one, a victim gets SIGKILL, and what the
others say about it, with readings of one clock, is the measurement. hashicorp/memberlist runs
beside it, where Go and its sources are there. Other parts stop processes, starve them, let them
rest, put them into network namespaces, or simulate them (``--sim``).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import harness
from detection import cuts, idle, kills, returns, starving, stops
from detection.arena import Arena, Host
from detection.namespaces import Network, NoNamespacesError, check_namespaces
from detection.plot import draw_file
from detection.profiles import NoProfileError, split_profiles
from detection.sides import GO, Side, memberlist, ours
from detection.simulated import running
from detection.simulated.catalogue import CASES
from peers.building import NoPeerError, build_memberlist

NODES = 30
HOSTS = 10


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--stop", action="store_true", help="SIGSTOP instead of SIGKILL")
    part.add_argument("--returns", action="store_true", help="killed and started again at once")
    part.add_argument("--starve", action="store_true", help="other programs take the CPU")
    part.add_argument("--idle", action="store_true", help="what a resting member costs")
    part.add_argument("--netns", action="store_true", help="losses and cuts in namespaces; root")
    part.add_argument("--sim", action="store_true", help="simulated clusters")
    part.add_argument("--draw", metavar="JSON", help="draw what --sim --json has written")
    parser.add_argument(
        "--profile",
        default=None,
        help=f"who is measured (default lan,{GO}; --sim: lan,fast,memberlist)",
    )
    parser.add_argument("--nodes", type=int, help=f"members (default {NODES}; --netns {HOSTS})")
    parser.add_argument("--seed", type=int, default=1, help="of victims, pauses and simulations")
    parser.add_argument("--kills", type=int, help="default 20")
    parser.add_argument("--times", type=int, help="of each pause or cut (default 10; --netns 5)")
    parser.add_argument("--seconds", type=float, help="how long to starve, or to rest (60)")
    parser.add_argument("--hogs", type=int, default=2, help="programs on each core (--starve)")
    parser.add_argument("--hog-nice", type=int, default=0, help="their niceness (--starve)")
    parser.add_argument("--member-nice", type=int, default=0, help="of the members (--starve)")
    parser.add_argument("--loss-seconds", type=float, help="of 5%% loss (--netns; default 600)")
    parser.add_argument("--case", action="append", choices=CASES, help="of --sim; default all")
    parser.add_argument("--runs", type=int, help="seeds of each case of --sim")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="where --draw puts the picture")
    return parser.parse_args()


def main() -> None:
    options = parse()
    # So that processes and namespaces are cleaned up then as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.draw:
        assert options.svg, "--draw needs --svg"
        draw_file(Path(options.draw), options.svg)
        return
    try:
        if options.sim:
            simulate(options)
        elif options.netns:
            in_namespaces(options)
        else:
            on_loopback(options)
    except NoProfileError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as error:
        harness.finish()
        sys.exit(f"stopped: {error}")


def simulate(options: argparse.Namespace) -> None:
    profiles = split_profiles(options.profile or "lan,fast,memberlist")
    cases = options.case or list(CASES)
    parameters = {"profiles": ",".join(profiles), "seed": options.seed, "runs": options.runs}
    harness.describe_run("Failure detection, simulated (times are virtual)", parameters)
    print("Times: mean/p50/p99. False deaths: of healthy members, each observer counted;")
    print("in brackets those whose observer was healthy as well.")
    runs = 1 if options.quick and not options.runs else options.runs
    found = {}
    for name in cases:
        found[name] = running.run_case(name, profiles, runs, options.nodes, options.seed)
        running.print_case(name, found[name])
        if options.json:
            running.write_json(options.json, found, parameters)
    harness.finish()


def on_loopback(options: argparse.Namespace) -> None:
    n = options.nodes or (8 if options.quick else NODES)
    times = options.times or (1 if options.quick else 10)
    seconds = options.seconds or (5.0 if options.quick else 60.0)
    count = options.kills or (2 if options.quick else 20)
    found: dict[str, Any] = {}
    prefix = ("nice", "-n", str(options.member_nice)) if options.starve else ()
    parameters = {"nodes": n, "seed": options.seed}
    harness.describe_run("Failure detection: each member a process, on loopback", parameters)
    with clusters(options, n, prefix=prefix) as arenas:
        if options.stop:
            lengths = (1.0,) if options.quick else stops.STOPS
            found["stops"] = stops.stop_all(arenas, times, lengths)
            stops.report_stops(found["stops"])
        elif options.returns:
            found["returns"] = returns.return_all(arenas, times)
            returns.report_returns(found["returns"])
        elif options.starve:
            rows = starving.starve(arenas, seconds, options.hogs, options.hog_nice)
            found["starving"] = rows
            starving.report_starving(rows, seconds)
        elif options.idle:
            settle = 3.0 if options.quick else idle.SETTLE_SECONDS
            measures = idle.rest(arenas, seconds, settle)
            found["rest"] = [attrs.asdict(measure) for measure in measures]
            idle.report_rest(n, measures)
        else:
            deaths = kills.kill_all(arenas, count)
            found["kills"] = {name: attrs.asdict(each) for name, each in deaths.items()}
            kills.report_kills(n, deaths, arenas)
    finish(options, found)


def in_namespaces(options: argparse.Namespace) -> None:
    try:
        check_namespaces()
    except NoNamespacesError as error:
        print(error)
        return
    n = options.nodes or (4 if options.quick else HOSTS)
    times = options.times or (1 if options.quick else 5)
    seconds = options.loss_seconds or (5.0 if options.quick else 600.0)
    parameters = {"hosts": n, "times": times, "seed": options.seed, "loss seconds": seconds}
    harness.describe_run("Failure detection: hosts in network namespaces", parameters)
    with Network(n) as network, clusters(options, n, network.hosts) as arenas:
        all_cuts = cuts.Cuts(network, arenas)
        try:
            all_cuts.blackout(times, everybody=False)
            all_cuts.blackout(times, everybody=True)
            if not options.quick:
                all_cuts.one_way(times)
                all_cuts.deaf(1)
            all_cuts.gone(min(times, n))
            all_cuts.lose(0.05, seconds)
        finally:
            cuts.report_cuts(all_cuts.rows, n)
    finish(options, {"cuts": all_cuts.rows, "samples": all_cuts.samples})


@contextmanager
def clusters(
    options: argparse.Namespace, n: int, hosts: Sequence[Host] = (), prefix: Sequence[str] = ()
) -> Iterator[list[Arena]]:
    """A cluster of each side that is to be measured, formed; none outlives the block."""
    arenas: list[Arena] = []
    with tempfile.TemporaryDirectory(prefix="bench-detection-") as folder:
        try:
            for side in sides(options.profile or f"lan,{GO}", Path(folder)):
                arenas.append(Arena(side, n, options.seed, hosts, prefix))
                arenas[-1].form()
                harness.print_note(f"{side.name}: {n} members are one cluster")
            if not arenas:
                raise RuntimeError("there is nobody to measure")
            yield arenas
        finally:
            for arena in arenas:
                arena.close()


def sides(text: str, folder: Path) -> Iterator[Side]:
    """Who is measured. memberlist is left out with a line when it cannot be built."""
    names = [name.strip() for name in text.split(",")]
    for profile in split_profiles(",".join(name for name in names if name != GO)):
        yield ours(profile)
    if GO in names:
        try:
            yield memberlist(build_memberlist(folder))
        except NoPeerError as error:
            print(error)


def finish(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """Print the load again, and write what was found."""
    harness.finish()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
