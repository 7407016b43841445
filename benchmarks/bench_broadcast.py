"""How soon a broadcast is everywhere, and how many packets that takes: eager against rounds.

``rounds`` is ``eager_copies=0``, memberlist's way of gossip, on the same code. Real sockets on
loopback, and simulated clusters with links of a millisecond, a storm of announcements, and losses.
"""

from __future__ import annotations

import argparse

import broadcast_simulated
import broadcast_sockets
import harness

PARTS = {
    "sockets": broadcast_sockets.sockets,
    "single": broadcast_simulated.single,
    "storm": broadcast_simulated.storm,
    "losses": broadcast_simulated.losses,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--only", choices=list(PARTS), help="one part only")
    parser.add_argument("--bytes", type=int, default=100, help="of a broadcast (default 100)")
    parser.add_argument("--sizes", type=int, nargs="+", help="members on sockets (default 30 100)")
    parser.add_argument("--rounds", type=int, help="broadcasts on sockets (default 20)")
    parser.add_argument("--processes", type=int, default=2, help="for sockets (default 2)")
    parser.add_argument("--nodes", type=int, help="simulated members (default 1000)")
    parser.add_argument("--runs", type=int, help="simulated broadcasts (default 40)")
    parser.add_argument("--storm", type=int, help="members that announce themselves (default 300)")
    parser.add_argument("--storm-seconds", type=float, default=90.0, help="until it is given up")
    parser.add_argument("--loss-runs", type=int, help="broadcasts with losses (default 500)")
    options = parser.parse_args()
    defaults = {
        "sizes": ([10], [30, 100]),
        "rounds": (2, 20),
        "nodes": (100, 1000),
        "runs": (3, 40),
        "storm": (50, 300),
        "loss_runs": (20, 500),
    }
    for name, (quick, normal) in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else normal)
    harness.describe_run("Broadcasts: eager against memberlist's rounds", vars(options))
    for name, part in PARTS.items():
        if options.only in (None, name):
            part(options)
    harness.finish()


if __name__ == "__main__":
    main()
