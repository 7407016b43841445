"""trio-gossip: the membership layer for Python programs that run on trio.

Every process learns who else is in the cluster, notices within seconds when one dies, and
spreads messages to all of them, without a central server. Start at :func:`open_cluster`.

Names are loaded on first use, so that ``trio_gossip.engine`` can be imported where trio cannot.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trio_gossip.addresses import Address, parse_address
    from trio_gossip.cluster import Cluster, open_cluster, serve_cluster
    from trio_gossip.cluster_keys import ClusterKeys
    from trio_gossip.cluster_state import ClusterShared, ClusterState, StateItem
    from trio_gossip.cluster_statistics import ClusterStatistics
    from trio_gossip.config import Config
    from trio_gossip.errors import (
        BroadcastRateError,
        ConfigError,
        GossipError,
        JoinError,
        LocalProtocolError,
        PeerUnreachableError,
        RemoteProtocolError,
    )
    from trio_gossip.events import (
        ContactLost,
        ContactRegained,
        Delivery,
        Event,
        JoinResult,
        Lagged,
        MemberEvent,
        MemberFailed,
        MemberJoined,
        MemberLeft,
        MemberReaped,
        MemberRecovered,
        MemberSuspected,
        MemberUpdated,
        MessageReceived,
        NameConflict,
        Reason,
    )
    from trio_gossip.failures import DialFailure, Evidence
    from trio_gossip.members import Candidate, Member, MemberState, Versions
    from trio_gossip.services.key_report import KeyAnswer, KeyChangeError, KeyReport
    from trio_gossip.services.key_store import KeyStore
    from trio_gossip.state_changes import StateChange, StateChanges
    from trio_gossip.subscription import Subscription
    from trio_gossip.transport import Packet, Transport

__all__ = [
    "Address",
    "BroadcastRateError",
    "Candidate",
    "Cluster",
    "ClusterKeys",
    "ClusterShared",
    "ClusterState",
    "ClusterStatistics",
    "Config",
    "ConfigError",
    "ContactLost",
    "ContactRegained",
    "Delivery",
    "DialFailure",
    "Event",
    "Evidence",
    "GossipError",
    "JoinError",
    "JoinResult",
    "KeyAnswer",
    "KeyChangeError",
    "KeyReport",
    "KeyStore",
    "Lagged",
    "LocalProtocolError",
    "Member",
    "MemberEvent",
    "MemberFailed",
    "MemberJoined",
    "MemberLeft",
    "MemberReaped",
    "MemberRecovered",
    "MemberState",
    "MemberSuspected",
    "MemberUpdated",
    "MessageReceived",
    "NameConflict",
    "Packet",
    "PeerUnreachableError",
    "Reason",
    "RemoteProtocolError",
    "StateChange",
    "StateChanges",
    "StateItem",
    "Subscription",
    "Transport",
    "Versions",
    "open_cluster",
    "parse_address",
    "serve_cluster",
]

_MODULES = {
    "addresses": ("Address", "parse_address"),
    "cluster": ("Cluster", "open_cluster", "serve_cluster"),
    "cluster_keys": ("ClusterKeys",),
    "cluster_state": ("ClusterShared", "ClusterState", "StateItem"),
    "cluster_statistics": ("ClusterStatistics",),
    "config": ("Config",),
    "errors": (
        "BroadcastRateError",
        "ConfigError",
        "GossipError",
        "JoinError",
        "LocalProtocolError",
        "PeerUnreachableError",
        "RemoteProtocolError",
    ),
    "events": (
        "ContactLost",
        "ContactRegained",
        "Delivery",
        "Event",
        "JoinResult",
        "Lagged",
        "MemberEvent",
        "MemberFailed",
        "MemberJoined",
        "MemberLeft",
        "MemberReaped",
        "MemberRecovered",
        "MemberSuspected",
        "MemberUpdated",
        "MessageReceived",
        "NameConflict",
        "Reason",
    ),
    "failures": ("DialFailure", "Evidence"),
    "members": ("Candidate", "Member", "MemberState", "Versions"),
    "services.key_report": ("KeyAnswer", "KeyChangeError", "KeyReport"),
    "services.key_store": ("KeyStore",),
    "state_changes": ("StateChange", "StateChanges"),
    "subscription": ("Subscription",),
    "transport": ("Packet", "Transport"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
