"""Settings of the failure detector and its profiles; a base of :class:`~trio_gossip.Config`."""

from __future__ import annotations

from typing import Any, Final, Literal

import attrs


@attrs.frozen(kw_only=True)
class DetectorConfig:
    """How silence is noticed, and how long each kind of it is forgiven. Times are float seconds.

    The first group is of the default detector, ``docs/detector`` has its rules; the second one of
    ``detector="memberlist"``, and some other parts take their patience from it.
    """

    detector: Literal["evidence", "memberlist"] = "evidence"
    """``"evidence"`` weighs what the kernel of a silent member says; ``"memberlist"`` has the plain
    rules of Lifeguard, for comparison."""
    kernel_evidence: bool = True
    """Whether refused connections and ICMP answers count. Switch it off where something else may
    answer for a member: a firewall that rejects, a proxy of services."""
    ring_interval: float | None = 1.0
    """Seconds between probes of the next live member in the order of hashed names; None for no
    such probes, which halves the packets and doubles the time to the first suspicion."""
    scan_interval: float = 1.0
    """Seconds between probes of one member after another."""
    rto_floor: float = 0.1
    """Least seconds to wait for an answer, before our own health stretches it."""
    rto_ceil: float = 0.5
    """Most seconds to wait for an answer, before our own health stretches it."""
    helpers: int = 3
    """Members asked to try as well, in each round. What they find confirms a suspicion."""
    floor_refused: float = 1.0
    """Seconds for a suspect whose host says that no such process is there."""
    floor_silent: float = 4.0
    """Seconds for a suspect of which nothing at all is heard."""
    floor_stalled: float = 10.0
    """Seconds for a suspect whose kernel accepts connections that its process does not answer."""
    max_factor: float = 6.0
    """A suspicion that nobody confirms lasts so many times longer than the floor."""
    quiet: float = 2.0
    """Seconds for which a suspicion stays with the accuser, who goes on asking: most outages are
    short, and need not be told. It does not make deaths later, as the age is told as well."""
    min_public: float = 0.5
    """Least seconds between hearing of a suspicion and the verdict, for the refutation."""
    solo_factor: float = 1.0
    """With two members there is no third opinion: the floor is so many times longer, except for a
    refused suspect."""
    reprobe: float = 0.5
    """Seconds between further pings of a suspect by its accusers."""
    stall_hold: float = 1.0
    """Most seconds after a stall of this process in which it declares nobody failed."""
    isolate_after: int = 3
    """Failed rounds in a row in which not even a helper answered, after which this process takes
    itself for cut off, and accuses nobody before others."""

    probe_interval: float = 1.0
    """Seconds between probes of one member. Shorter finds failures sooner for more packets."""
    probe_timeout: float = 0.5
    """Seconds to wait for a direct answer before helpers are asked: a high percentile of RTT."""
    indirect_probes: int = 3
    """Helpers asked to reach a silent member (k in SWIM). More forgive more packet loss."""
    stream_pings: bool = True
    """Also try a stream when datagrams fail: tells a blocked UDP port from a dead process."""
    awareness_max: int = 8
    """The local health score stays below this; a probe may take this many intervals."""
    suspicion_mult: int = 4
    """Suspicion lasts at least this x log10(N) x probe_interval; minus 2 accusers end it."""
    suspicion_max_timeout_mult: int = 6
    """An unconfirmed suspicion lasts this many times longer than a confirmed one."""
    stall_threshold: float = 0.1
    """A wake-up this much too late means that this process stalled, so that its deadlines are
    moved by as much and nobody is blamed."""


FAST: Final[dict[str, Any]] = {
    "floor_refused": 0.5,
    "floor_silent": 1.6,
    "floor_stalled": 2.0,
    "quiet": 0.8,
    "solo_factor": 2.0,
}
"""``Config.fast``."""

SAFE: Final[dict[str, Any]] = {
    "floor_silent": 8.0,
    "floor_stalled": 20.0,
    "max_factor": 4.0,
    "quiet": 4.0,
}
"""``Config.safe``."""

WAN: Final[dict[str, Any]] = {
    "ring_interval": 2.0,
    "scan_interval": 2.0,
    "rto_floor": 0.5,
    "rto_ceil": 3.0,
    "floor_refused": 3.0,
    "floor_silent": 12.0,
    "floor_stalled": 20.0,
    "quiet": 5.0,
    "min_public": 1.5,
    "reprobe": 1.0,
    "stall_hold": 2.0,
    "suspicion_mult": 6,
    "probe_timeout": 3.0,
    "probe_interval": 5.0,
}
"""``Config.wan``; the memberlist part is its ``DefaultWANConfig``."""

LOCAL: Final[dict[str, Any]] = {
    "rto_floor": 0.05,
    "rto_ceil": 0.2,
    "floor_refused": 0.3,
    "floor_silent": 1.0,
    "floor_stalled": 2.0,
    "quiet": 0.4,
    "min_public": 0.3,
    "reprobe": 0.25,
    "indirect_probes": 1,
    "suspicion_mult": 3,
    "probe_timeout": 0.2,
}
"""``Config.local``; the memberlist part is its ``DefaultLocalConfig``."""
