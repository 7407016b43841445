"""What a configuration must keep to: ranges of single values and relations between them.

Callers without a type checker pass anything, so each value is looked at as if it had no type.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import attrs

from trio_gossip.addresses import Address, parse_address
from trio_gossip.members import EXCHANGE_MODES, META_BYTES_MAX, Versions, name_fault

PACKET_BYTES_MIN: Final = 900
"""Smallest packet limit: room for an announcement with a name of 255 or a meta of 512 bytes.
With both, ``open_cluster`` checks that they fit together."""

SECONDS_MAX: Final = 1e9
"""Longest of all durations, thirty years: in effect never."""


STATE_PLANE_BYTES_MAX: Final = 128 * 1024 * 1024
"""Most bytes that a plane of state may hold: one exchange has to bring all of them."""

STATE_PLANE_RECORDS_MAX: Final = 131_072
"""Most records of it: the end of an exchange lists them."""

PACKETS_PER_SECOND_MAX: Final = 1e6
"""Highest rate of packets or broadcasts; more than a socket takes."""

DETECTORS: Final = ("evidence", "memberlist")
"""Rules by which silent members are judged."""

HELPERS_MAX: Final = 6
"""Helpers in a round; with their accuser all of them fit into one accusation."""

GAPS_MAX: Final = 16
"""Gaps between transmissions that may differ; the last one repeats."""


_POSITIVE_SECONDS = (
    "scan_interval",
    "rto_floor",
    "rto_ceil",
    "floor_refused",
    "floor_silent",
    "floor_stalled",
    "min_public",
    "reprobe",
    "probe_interval",
    "probe_timeout",
    "cold_interval",
    "gossip_interval",
    "stream_timeout",
    "rejoin_interval",
    "stall_threshold",
    "push_pull_interval",
)
_SECONDS = (
    "quiet",
    "stall_hold",
    "eager_coalesce",
    "gossip_to_dead_time",
    "reap_time",
    "tombstone_time",
    "rejoin_memory",
    "leave_timeout",
    "leave_linger",
    "state_tombstone_time",
    "state_clock_skew",
)
_FLAGS = ("stream_pings", "summaries", "kernel_evidence")
_HOOKS = ("admit", "stream_ping_filter")
_FACTORS = {"max_factor": (1.0, 64.0), "solo_factor": (1.0, 64.0)}
_COUNTS = {
    "helpers": (0, HELPERS_MAX),
    "isolate_after": (1, 64),
    "indirect_probes": (0, 32),
    "awareness_max": (1, 64),
    "suspicion_mult": (1, 64),
    "suspicion_max_timeout_mult": (1, 64),
    "eager_copies": (0, 32),
    "eager_burst": (1, 1024),
    "eager_full_burst": (1, 1024),
    "cold_packets": (1, 64),
    "gossip_nodes": (1, 64),
    "retransmit_mult": (1, 64),
    "transmit_floor": (1, 64),
    "lossy_transmit_floor": (1, 64),
    "packet_bytes_max": (PACKET_BYTES_MIN, 65507),
    "sync_chunk_members": (32, 256),
    "sync_concurrent_max": (1, 4096),
    "members_max": (2, 1048576),
    "leave_acks": (0, 32),
    "broadcast_queue_max": (1, 1048576),
    "broadcast_burst": (1, 1048576),
    "state_records_max": (1, STATE_PLANE_RECORDS_MAX),
    "state_owner_records_max": (1, STATE_PLANE_RECORDS_MAX),
    "state_bytes_max": (1, STATE_PLANE_BYTES_MAX),
    "state_owner_bytes_max": (1, STATE_PLANE_BYTES_MAX),
    "lazy_bytes": (0, 65536),
    "message_bytes_max": (1, 20 * 1024 * 1024),
}


def config_faults(config: Any) -> list[str]:
    """Every reason for which a ``Config`` cannot work, each as one clause."""
    faults = _value_faults(config)
    if faults:  # relations between values that are wrong by themselves say nothing new
        return faults
    if config.probe_timeout >= config.probe_interval:
        faults.append(
            f"probe_timeout ({config.probe_timeout}) must be below probe_interval"
            f" ({config.probe_interval}), or helpers have no time to answer"
        )
    if config.stall_threshold >= config.probe_interval:
        faults.append(
            f"stall_threshold ({config.stall_threshold}) must be below probe_interval"
            f" ({config.probe_interval}), or a stall is never noticed"
        )
    if config.gossip_interval > config.probe_interval:
        faults.append(
            f"gossip_interval ({config.gossip_interval}) must not exceed probe_interval"
            f" ({config.probe_interval}), or a refutation spreads too late"
        )
    faults.extend(_detector_faults(config))
    if config.reap_time < config.gossip_to_dead_time:
        faults.append(
            f"reap_time ({config.reap_time}) must not be below gossip_to_dead_time"
            f" ({config.gossip_to_dead_time}): a reaped member cannot be told"
        )
    if config.tombstone_time < config.reap_time:
        faults.append(
            f"tombstone_time ({config.tombstone_time}) must not be below reap_time"
            f" ({config.reap_time})"
        )
    if config.leave_linger > config.leave_timeout:
        faults.append(
            f"leave_linger ({config.leave_linger}) must not exceed leave_timeout"
            f" ({config.leave_timeout})"
        )
    return faults


def _detector_faults(config: Any) -> list[str]:
    """Relations between the settings of the evidence detector."""
    faults: list[str] = []
    if config.rto_floor > config.rto_ceil:
        faults.append(
            f"rto_floor ({config.rto_floor}) must not exceed rto_ceil ({config.rto_ceil})"
        )
    least = config.quiet + 4 * config.rto_floor + config.min_public - 0.1
    if config.floor_silent < least - 1e-9:
        faults.append(
            f"floor_silent ({config.floor_silent}) must be at least quiet + 4 rto_floor +"
            f" min_public - 0.1 ({least:g}), or a suspicion is over before others heard of it"
        )
    if config.floor_stalled < config.floor_silent:
        faults.append(
            f"floor_stalled ({config.floor_stalled}) must not be below floor_silent"
            f" ({config.floor_silent}): a kernel that answers is no worse sign than none"
        )
    for field in ("scan_interval", "ring_interval"):
        interval = getattr(config, field)
        if interval is not None and config.rto_floor >= interval:
            faults.append(
                f"rto_floor ({config.rto_floor}) must be below {field} ({interval}), or one"
                " probe waits for another"
            )
    return faults


def _value_faults(config: Any) -> list[str]:
    """Faults of single values."""
    faults: list[str] = []
    values: dict[str, Any] = attrs.asdict(config, recurse=False)
    name, meta = values["name"], values["meta"]
    if not isinstance(name, str):
        faults.append("name must be text")
    elif fault := name_fault(name):
        faults.append(f"name {name[:40]!r} {fault}")
    if not isinstance(meta, bytes):
        faults.append("meta must be bytes")
    elif len(meta) > META_BYTES_MAX:
        faults.append(f"meta has {len(meta)} bytes, at most {META_BYTES_MAX} are allowed")
    for field in _POSITIVE_SECONDS + _SECONDS:
        value = values[field]
        if type(value) not in (int, float) or not 0 <= value <= SECONDS_MAX:
            faults.append(f"{field} ({value!r}) must be a finite number of seconds, not negative")
        elif value == 0 and field in _POSITIVE_SECONDS:
            faults.append(f"{field} must be more than 0 seconds")
    for field, (low, high) in _COUNTS.items():
        value = values[field]
        if type(value) is not int or not low <= value <= high:
            faults.append(f"{field} ({value!r}) must be a whole number from {low} to {high}")
    faults.extend(_detector_value_faults(values))
    faults.extend(
        f"{field} ({values[field]!r}) must be a function or None"
        for field in _HOOKS
        if values[field] is not None and not callable(values[field])
    )
    if values["exchange"] not in EXCHANGE_MODES:
        modes = ", ".join(map(repr, EXCHANGE_MODES))
        faults.append(f"exchange ({values['exchange']!r}) must be one of {modes}")
    faults.extend(
        f"{field} ({values[field]!r}) must be True or False"
        for field in _FLAGS
        if type(values[field]) is not bool
    )
    if values["seed"] is not None and type(values["seed"]) is not int:
        faults.append(f"seed ({values['seed']!r}) must be a whole number or None")
    for field in ("eager_rate", "eager_full_rate", "broadcast_rate"):
        value = values[field]
        if type(value) not in (int, float) or not 1.0 <= value <= PACKETS_PER_SECOND_MAX:
            faults.append(f"{field} ({value!r}) must be from 1 to {PACKETS_PER_SECOND_MAX:g}")
    faults.extend(_gap_faults(values["cold_gaps"]))
    shares = {field: values[field] for field in ("broadcast_share", "state_share")}
    wrong = {
        field: share
        for field, share in shares.items()
        if type(share) not in (int, float) or not 0.0 <= share <= 0.9
    }
    faults.extend(f"{field} ({share!r}) must be from 0.0 to 0.9" for field, share in wrong.items())
    if not wrong and sum(shares.values()) > 0.9:
        faults.append("broadcast_share and state_share together must not be above 0.9")
    first = values["incarnation"]
    if first is not None and (type(first) is not int or not 1 <= first < 2**40):
        faults.append(f"incarnation ({first!r}) must be a whole number from 1 to 2**40 - 1")
    faults.extend(_version_faults(values["versions"]))
    faults.extend(_network_faults(values["allowed_networks"]))
    if values["advertise"] is not None:
        faults.extend(_advertise_faults(values["advertise"]))
    return faults


def _detector_value_faults(values: dict[str, Any]) -> list[str]:
    faults: list[str] = []
    for field, (least, most) in _FACTORS.items():
        value = values[field]
        if type(value) not in (int, float) or not least <= value <= most:
            faults.append(f"{field} ({value!r}) must be a number from {least:g} to {most:g}")
    ring = values["ring_interval"]
    if ring is not None and (type(ring) not in (int, float) or not 0 < ring <= SECONDS_MAX):
        faults.append(f"ring_interval ({ring!r}) must be seconds above 0, or None")
    if values["detector"] not in DETECTORS:
        names = ", ".join(map(repr, DETECTORS))
        faults.append(f"detector ({values['detector']!r}) must be one of {names}")
    return faults


def _gap_faults(gaps: Any) -> list[str]:
    if gaps.__class__ is not tuple or not 1 <= len(gaps) <= GAPS_MAX:
        return [f"cold_gaps must be a tuple of 1 to {GAPS_MAX} numbers of seconds"]
    if any(type(gap) not in (int, float) or not 0.0 < gap <= SECONDS_MAX for gap in gaps):
        return [f"cold_gaps ({gaps!r}) must be finite numbers of seconds above 0"]
    return []


def _network_faults(networks: Any) -> list[str]:
    if networks.__class__ is not tuple:  # a text would be read letter by letter
        return ["allowed_networks must be a tuple of texts"]
    faults: list[str] = []
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            faults.append(f"allowed_networks: {error}")
    return faults


def _advertise_faults(address: object) -> list[str]:
    if not isinstance(address, Address):
        return [f"advertise ({address!r}) must be an Address; see parse_address"]
    try:
        parsed = parse_address(str(address))
    except ValueError as error:
        return [f"advertise: {error}"]
    if parsed.is_wildcard or not parsed.port:
        return [f"advertise ({address}) is no address that others can reach"]
    if parsed != address:
        return [f"advertise ({address}) must be spelled {parsed}"]
    return []


def _version_faults(versions: object) -> list[str]:
    if not isinstance(versions, Versions):
        return [f"versions ({versions!r}) must be Versions"]
    numbers = attrs.astuple(versions)
    if not all(type(number) is int and 0 <= number <= 255 for number in numbers):
        return ["versions must be numbers from 0 to 255"]
    if not 1 <= versions.protocol_min <= versions.protocol <= versions.protocol_max:
        return ["versions: protocol must lie between protocol_min (1 or more) and protocol_max"]
    if not versions.user_min <= versions.user <= versions.user_max:
        return ["versions: user must lie between user_min and user_max"]
    return []
