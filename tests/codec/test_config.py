"""Presets are memberlist's, every fault has its message, every field its line."""

from __future__ import annotations

import ast
import inspect
import math
from typing import Any

import attrs
import pytest

from trio_gossip.addresses import Address
from trio_gossip.config import Config
from trio_gossip.config_faults import (
    PACKET_BYTES_MIN,
    STATE_PLANE_BYTES_MAX,
    STATE_PLANE_RECORDS_MAX,
)
from trio_gossip.detector_config import DetectorConfig
from trio_gossip.errors import ConfigError, GossipError
from trio_gossip.members import Versions

MEMBERLIST: dict[str, tuple[float, float, float]] = {
    # our field: LAN, WAN and Local of memberlist
    "stream_timeout": (10.0, 30.0, 1.0),  # TCPTimeout
    "indirect_probes": (3, 3, 1),  # IndirectChecks
    "retransmit_mult": (4, 4, 2),
    "suspicion_mult": (4, 6, 3),
    "suspicion_max_timeout_mult": (6, 6, 6),
    "push_pull_interval": (30.0, 60.0, 15.0),
    "probe_timeout": (0.5, 3.0, 0.2),
    "probe_interval": (1.0, 5.0, 1.0),
    "stream_pings": (True, True, True),  # not DisableTcpPings
    "awareness_max": (8, 8, 8),  # AwarenessMaxMultiplier
    "gossip_nodes": (3, 4, 3),
    "gossip_interval": (0.2, 0.5, 0.1),
    "gossip_to_dead_time": (30.0, 60.0, 15.0),
    "packet_bytes_max": (1400, 1400, 1400),  # UDPBufferSize
    "sync_concurrent_max": (128, 128, 128),  # a constant there
    "message_bytes_max": (20 << 20, 20 << 20, 20 << 20),  # a constant there
}


@pytest.mark.parametrize("field", MEMBERLIST)
def test_the_presets_are_those_of_memberlist(field: str) -> None:
    presets = Config.lan(name="a"), Config.wan(name="a"), Config.local(name="a")
    assert tuple(getattr(config, field) for config in presets) == MEMBERLIST[field]


def test_the_lan_preset_is_the_default() -> None:
    assert Config.lan(name="a") == Config(name="a")


@pytest.mark.parametrize("preset", [Config.lan, Config.wan, Config.local])
def test_a_preset_takes_changes_of_any_field(preset: Any) -> None:
    config = preset(name="b", gossip_nodes=7, meta=b"m", probe_timeout=0.125)
    assert (config.name, config.gossip_nodes, config.meta) == ("b", 7, b"m")
    assert config.probe_timeout == 0.125
    with pytest.raises(TypeError):
        preset(name="a", no_such_field=1)
    with pytest.raises(TypeError):
        preset()


def test_a_config_cannot_be_changed_and_is_checked_again_when_evolved() -> None:
    config = Config.lan(name="a")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.name = "b"  # type: ignore[misc]  # frozen
    with pytest.raises(ConfigError):
        attrs.evolve(config, gossip_nodes=0)


POSITIVE = [
    "scan_interval",
    "rto_floor",
    "rto_ceil",
    "floor_refused",
    "floor_silent",
    "floor_stalled",
    "min_public",
    "reprobe",
    "cold_interval",
    "probe_interval",
    "probe_timeout",
    "gossip_interval",
    "stream_timeout",
    "rejoin_interval",
    "stall_threshold",
    "push_pull_interval",
]
ZERO_ALLOWED = [
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
]
RATES = ["eager_rate", "eager_full_rate", "broadcast_rate"]
COUNTS = {
    "helpers": (0, 6),
    "isolate_after": (1, 64),
    "eager_copies": (0, 32),
    "eager_burst": (1, 1024),
    "eager_full_burst": (1, 1024),
    "cold_packets": (1, 64),
    "transmit_floor": (1, 64),
    "lossy_transmit_floor": (1, 64),
    "indirect_probes": (0, 32),
    "awareness_max": (1, 64),
    "suspicion_mult": (1, 64),
    "suspicion_max_timeout_mult": (1, 64),
    "gossip_nodes": (1, 64),
    "retransmit_mult": (1, 64),
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


SWITCHES = ("stream_pings", "kernel_evidence", "summaries")
SHARES = ("broadcast_share", "state_share")


def test_every_field_with_a_number_is_checked() -> None:
    checked = {*POSITIVE, *ZERO_ALLOWED, *RATES, *COUNTS, *SHARES, "incarnation"}
    checked |= {"ring_interval", "max_factor", "solo_factor"}  # tests/codec/test_detector_config.py
    numbers = {
        field.name
        for field in attrs.fields(Config)
        if type(field.default) in (int, float) and field.name not in SWITCHES
    }
    assert numbers <= checked


@pytest.mark.parametrize("field", POSITIVE + ZERO_ALLOWED)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, -math.inf, "1", None])
def test_a_time_is_a_finite_number_and_not_negative(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field} .*finite number of seconds, not negative"):
        Config.lan(name="a", **{field: value})


@pytest.mark.parametrize("field", POSITIVE)
def test_an_interval_is_more_than_zero(field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} must be more than 0 seconds"):
        Config.lan(name="a", **{field: 0.0})


@pytest.mark.parametrize("field", ZERO_ALLOWED)
def test_a_time_may_be_zero(field: str) -> None:
    below = dict.fromkeys(ZERO_ALLOWED, 0.0)  # so that the relations between them hold
    assert getattr(Config.lan(name="a", **below), field) == 0.0


@pytest.mark.parametrize("field", RATES)
@pytest.mark.parametrize("value", [0.9, -1.0, math.nan, 1e7, "1", None, True])
def test_a_rate_is_a_number_in_its_range(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field} .* must be from 1 to 1e"):
        Config.lan(name="a", **{field: value})
    assert getattr(Config.lan(name="a", **{field: 1.0}), field) == 1.0


@pytest.mark.parametrize(
    "gaps", [(), [0.1], "1", 0.1, (0.1, 0.0), (-1.0,), (math.nan,), ("x",), (0.1,) * 17]
)
def test_gaps_are_a_few_positive_times(gaps: Any) -> None:
    with pytest.raises(ConfigError, match="cold_gaps"):
        Config.lan(name="a", cold_gaps=gaps)
    assert Config.lan(name="a", cold_gaps=(0.1,) * 16).cold_gaps


@pytest.mark.parametrize("field", COUNTS)
def test_a_count_is_a_whole_number_in_its_range(field: str) -> None:
    low, high = COUNTS[field]
    for good in (low, high):
        assert getattr(Config.lan(name="a", **{field: good}), field) == good
    for bad in (low - 1, high + 1, float(low), str(low), None, True):
        with pytest.raises(ConfigError, match=f"{field} .*whole number from {low} to {high}"):
            Config.lan(name="a", **{field: bad})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name '' is empty"),
        ({"name": "n" * 256}, "is longer than 255 bytes"),
        ({"name": "a\n"}, "has a control or unprintable character"),
        ({"name": "\ud800"}, "is not valid Unicode"),
        ({"name": b"a"}, "name must be text"),
        ({"name": None}, "name must be text"),
        ({"meta": b"m" * 513}, "meta has 513 bytes, at most 512 are allowed"),
        ({"meta": "text"}, "meta must be bytes"),
        ({"meta": bytearray(1)}, "meta must be bytes"),
        ({"probe_timeout": 1.0}, r"probe_timeout \(1.0\) must be below probe_interval \(1.0\)"),
        ({"probe_interval": 0.4}, "helpers have no time to answer"),
        ({"stall_threshold": 1.0}, "a stall is never noticed"),
        ({"gossip_interval": 1.1}, "a refutation spreads too late"),
        ({"reap_time": 29.0}, "a reaped member cannot be told"),
        ({"tombstone_time": 29.0}, r"tombstone_time \(29.0\) must not be below reap_time"),
        ({"leave_linger": 5.1}, r"leave_linger \(5.1\) must not exceed leave_timeout \(5.0\)"),
        ({"broadcast_share": -0.1}, "broadcast_share .* must be from 0.0 to 0.9"),
        ({"state_share": 0.91}, "state_share .* must be from 0.0 to 0.9"),
        ({"broadcast_share": 0.5, "state_share": 0.5}, "together must not be above 0.9"),
        ({"broadcast_share": 0.91}, "broadcast_share .* must be from 0.0 to 0.9"),
        ({"state_share": -0.1}, "state_share .* must be from 0.0 to 0.9"),
        ({"state_share": "x"}, "state_share .* must be from 0.0 to 0.9"),
        (
            {"state_share": 0.5, "broadcast_share": 0.5},
            "broadcast_share and state_share together must not be above 0.9",
        ),
        ({"broadcast_share": math.nan}, "broadcast_share .* must be from 0.0 to 0.9"),
        ({"incarnation": 0}, "incarnation .* must be a whole number from 1 to"),
        ({"incarnation": 2**40}, "incarnation .* must be a whole number from 1 to"),
        ({"versions": Versions(user=256)}, "versions must be numbers from 0 to 255"),
        ({"versions": Versions(user=-1)}, "versions must be numbers from 0 to 255"),
        ({"versions": Versions(user=True)}, "versions must be numbers from 0 to 255"),
        ({"versions": Versions(protocol_min=0)}, "protocol must lie between protocol_min"),
        ({"versions": Versions(protocol=2)}, "protocol must lie between protocol_min"),
        ({"versions": Versions(user=1)}, "user must lie between user_min and user_max"),
        ({"allowed_networks": ("10.0.0.0/33",)}, "allowed_networks: "),
        ({"allowed_networks": ("10.0.0.1/8",)}, "allowed_networks: .*host bits"),
        ({"allowed_networks": ("here",)}, "allowed_networks: "),
        ({"advertise": Address("0.0.0.0", 80)}, "advertise .* is no address that others can reach"),
        ({"advertise": Address("::", 80)}, "advertise .* is no address that others can reach"),
        ({"advertise": Address("host", 0)}, "advertise .* is no address that others can reach"),
        ({"advertise": Address("host", 65536)}, "advertise: .* no valid port"),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_a_fault_is_named_with_its_reason(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.lan(**({"name": "a"} | changes))


def test_all_faults_of_values_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.lan(name="", meta="x", gossip_nodes=0, reap_time=-1.0)
    assert [
        word in str(caught.value) for word in ("name", "meta", "gossip_nodes", "reap_time")
    ] == ([True] * 4)


def test_a_config_error_is_a_gossip_error_and_a_value_error() -> None:
    assert issubclass(ConfigError, GossipError)
    assert issubclass(ConfigError, ValueError)


@pytest.mark.parametrize(
    "changes",
    [
        {"advertise": Address("192.0.2.1", 65535), "allowed_networks": ("10.0.0.0/8", "::/0")},
        {"broadcast_share": 0.0},
        {"broadcast_share": 0.9, "state_share": 0.0},
        {"broadcast_share": 0.0, "state_share": 0.9},
        {"incarnation": 1},
        {"incarnation": 2**40 - 1},
        {"meta": b"m" * 512, "name": "n" * 255},
        {"versions": Versions(1, 255, 9, 1, 255, 128)},
        {"gossip_interval": 1.0, "leave_linger": 5.0, "reap_time": 86400.0},
    ],
    ids=str,
)
def test_the_last_legal_values_are_legal(changes: dict[str, Any]) -> None:
    Config.lan(**({"name": "a"} | changes))


def _documented(source: str, class_name: str) -> dict[str, str | None]:
    """Each annotated attribute of a class with the text below it."""
    tree = ast.parse(source)
    found: dict[str, str | None] = {}
    (body,) = [n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == class_name]
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            constant = text.value if isinstance(text, ast.Constant) else None
            found[node.target.id] = constant if isinstance(constant, str) else None
    return found


def test_every_field_has_a_line_that_explains_it() -> None:
    documented: dict[str, str | None] = {}
    for kind in (DetectorConfig, Config):
        source = inspect.getsource(inspect.getmodule(kind))  # type: ignore[arg-type]  # found
        documented |= _documented(source, kind.__name__)
    assert list(documented) == [field.name for field in attrs.fields(Config)]
    assert [name for name, text in documented.items() if not text or len(text) < 20] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"probe_interval": 10**400},
        {"broadcast_share": "x"},
        {"incarnation": 1.5},
        {"incarnation": True},
        {"versions": b"\x01\x01\x01\x00\x00\x00"},
        {"advertise": ("192.0.2.1", 80)},
        {"advertise": Address("a b:c", 80)},
        {"advertise": Address("h" * 256, 80)},
        {"advertise": Address("::ffff:192.0.2.1", 80)},
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_a_value_of_the_wrong_kind_is_a_config_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Config.lan(name="a", **changes)


@pytest.mark.parametrize("field", SWITCHES)
def test_a_switch_is_true_or_false(field: str) -> None:
    for value in (True, False):
        assert getattr(Config.lan(name="a", **{field: value}), field) is value
    for value in (1, None, "yes"):
        with pytest.raises(ConfigError, match=f"{field} .* must be True or False"):
            Config.lan(name="a", **{field: value})
