"""Every setting of a member, with profiles for kinds of networks, checked when built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

from trio_gossip.addresses import Address
from trio_gossip.config_faults import config_faults
from trio_gossip.detector_config import FAST, LOCAL, SAFE, WAN, DetectorConfig
from trio_gossip.errors import ConfigError
from trio_gossip.members import Candidate, Member, Versions


@attrs.frozen(kw_only=True)
class Config(DetectorConfig):
    """Settings of one member. Times are float seconds. Use a profile: ``Config.lan(name="a")``.

    Raises:
        ConfigError: naming the fields that do not go together and why.
    """

    name: str
    """Unique name of this member, 1 to 255 bytes of printable text."""
    advertise: Address | None = None
    """Address to tell others when it is not the one the transport listens on (NAT)."""
    meta: bytes = b""
    """Bytes told to every member, at most 512: all of an alive message must fit one packet."""
    versions: Versions = Versions()
    """What this member can speak; the user part is compared between members for you."""

    stream_ping_filter: Callable[[Member], bool] | None = None
    """Asked per member whether a stream ping may be tried; None means always."""

    eager_copies: int = 6
    """Transmissions of news that follow at once, at most half of all. 0 is memberlist's way: the
    rounds of ``gossip_interval`` and ``gossip_nodes`` tell everything."""
    eager_coalesce: float = 0.001
    """Seconds for which news waits for more before the first packet goes out."""
    eager_rate: float = 50.0
    """Packets a second with hot news, however little there is in them."""
    eager_burst: int = 24
    """How many of these may follow each other at once."""
    eager_full_rate: float = 400.0
    """Packets a second with hot news that are full: they save others."""
    eager_full_burst: int = 48
    """How many of these may follow each other at once."""
    cold_gaps: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Least seconds between the further transmissions, one by one; the last gap repeats."""
    cold_interval: float = 0.05
    """Least seconds between rounds of these."""
    cold_packets: int = 6
    """Packets in each of these rounds at most, each to another member."""
    gossip_interval: float = 0.2
    """Seconds between rounds of gossip while there is something to tell, without eager copies."""
    gossip_nodes: int = 3
    """Members told in each of these rounds (fan-out)."""
    gossip_to_dead_time: float = 30.0
    """Seconds for which failed members are still told, so that one wrongly declared failed
    hears of it and can refute."""
    retransmit_mult: int = 4
    """Each message is sent this x ceil(log10(N+1)) times by each member."""
    transmit_floor: int = 8
    """With eager copies, each message is sent so often at least, in small clusters."""
    lossy_transmit_floor: int = 12
    """The same while many probes have no direct answer; the higher one of the two counts."""
    packet_bytes_max: int = 1400
    """Most bytes in a packet, below the usual MTU; the transport's own limit counts as well."""

    push_pull_interval: float = 30.0
    """Seconds between exchanges with one random member; grows with log2(N) above 32."""
    exchange: Literal["push-pull", "push", "pull"] = "push-pull"
    """What these exchanges move: both tables; only what changed here, and now and then all of it;
    or only the other's table. Joins and the search for lost members always move both."""
    summaries: bool = True
    """Whether pings say what this member knows, and acks bring what the other lacks. Without it
    only these exchanges repair what gossip has missed."""
    stream_timeout: float = 10.0
    """Seconds without progress after which a stream exchange is given up."""
    sync_chunk_members: int = 128
    """Members in one frame of an exchange; small, so that a big cluster does not stall us."""
    sync_concurrent_max: int = 128
    """Exchanges that others may have open with us; further ones are refused as busy."""
    members_max: int = 16384
    """Members that the table takes; further ones are counted and not learned."""

    reap_time: float = 30.0
    """Seconds that a failed or left member stays in the table."""
    tombstone_time: float = 86400.0
    """Seconds for which the incarnation of a reaped member is remembered, so that old news
    does not bring it back. Longer than any partition that should heal without new incarnations."""
    rejoin_interval: float = 30.0
    """Mean seconds between tries of a seed or of a failed member, for ever: heals partitions."""
    rejoin_memory: float = 86400.0
    """Seconds for which a failed member is worth such a try."""

    leave_timeout: float = 5.0
    """Most seconds that a graceful leave may take."""
    leave_acks: int = 3
    """Members that must have acknowledged a leave before it counts as told."""
    leave_linger: float = 0.5
    """Seconds to go on answering after the leave was told, so that no probe is in vain."""

    broadcast_queue_max: int = 1024
    """Own and forwarded user broadcasts waiting; full: the most transmitted one is dropped."""
    broadcast_rate: float = 200.0
    """Own broadcasts a second, on average; one of more than 100 bytes counts as several. A call
    beyond it raises :exc:`~trio_gossip.BroadcastRateError`: what was taken must not get lost in
    full queues."""
    broadcast_burst: int = 400
    """How many of these may follow each other at once."""
    state_share: float = 0.25
    """Share of the bytes of gossip that news of state gets when membership and messages have much
    to tell as well."""
    state_records_max: int = 65_536
    """Records of state that each of its two planes holds here, deleted keys included."""
    state_owner_records_max: int = 1024
    """The same of one writer."""
    state_bytes_max: int = 64 * 1024 * 1024
    """Bytes of keys and values that each plane holds here."""
    state_owner_bytes_max: int = 1024 * 1024
    """The same of one writer."""
    state_tombstone_time: float = 3600.0
    """Seconds for which a deleted key is remembered. Deleted keys do not come back however short
    it is; but shared values written during a partition that lasts longer may be lost."""
    state_clock_skew: float = 60.0
    """Seconds by which a writer's wall clock may be ahead of ours; beyond it, it is not heard."""
    lazy_bytes: int = 1024
    """Own broadcasts longer than this, or than a packet, are announced by gossip and fetched by
    stream: they cross each member about once. With 65536 none is, and each must fit a packet."""
    broadcast_share: float = 0.25
    """Share of each packet that is the user lane's when membership news competes for it."""
    message_bytes_max: int = 20 * 1024 * 1024
    """Largest message that is sent or accepted by stream."""

    admit: Callable[[Candidate], bool] | None = None
    """Veto: asked for each member that is new, comes back or changes. It gets a
    :class:`~trio_gossip.Candidate`: a member, and the names for which the transport vouches. Must
    not block; what it raises stops the cluster."""
    allowed_networks: tuple[str, ...] = ()
    """CIDR blocks in which members may have their address; empty allows every address."""
    seed: int | None = None
    """Seed of the one random generator; None takes it from the operating system."""
    incarnation: int | None = None
    """First incarnation. None takes wall-clock seconds, so that a restart is always newer."""

    @classmethod
    def lan(cls, *, name: str, **changes: Any) -> Config:
        """Local networks. A process paused for 10 s and a network silent for 4 s are forgiven."""
        return cls(name=name, **changes)

    @classmethod
    def fast(cls, *, name: str, **changes: Any) -> Config:
        """Local networks in a hurry. A pause of 2 s and a silence of 1.5 s are forgiven."""
        return cls(name=name, **(FAST | changes))

    @classmethod
    def safe(cls, *, name: str, **changes: Any) -> Config:
        """Virtual or shared hosts. A pause of 20 s and a silence of 8 s are forgiven."""
        return cls(name=name, **(SAFE | changes))

    @classmethod
    def wan(cls, *, name: str, **changes: Any) -> Config:
        """Wide area networks. A pause of 20 s and a silence of 12 s are forgiven."""
        values: dict[str, Any] = {
            **WAN,
            "stream_timeout": 30.0,
            "push_pull_interval": 60.0,
            "eager_coalesce": 0.005,
            "cold_gaps": (0.2, 0.4, 0.8),
            "cold_interval": 0.2,
            "gossip_nodes": 4,
            "gossip_interval": 0.5,
            "gossip_to_dead_time": 60.0,
            "reap_time": 60.0,
            "rejoin_interval": 60.0,
            "leave_timeout": 15.0,
            "leave_linger": 3.0,
        }
        return cls(name=name, **(values | changes))

    @classmethod
    def local(cls, *, name: str, **changes: Any) -> Config:
        """Loopback, for tests and demonstrations. A pause of 2 s is forgiven."""
        values: dict[str, Any] = {
            **LOCAL,
            "stream_timeout": 1.0,
            "retransmit_mult": 2,
            "push_pull_interval": 15.0,
            "gossip_interval": 0.1,
            "gossip_to_dead_time": 15.0,
            "reap_time": 15.0,
            "rejoin_interval": 15.0,
            "leave_timeout": 2.0,
            "leave_linger": 0.2,
        }
        return cls(name=name, **(values | changes))

    def __attrs_post_init__(self) -> None:
        faults = list(config_faults(self))
        if faults:
            raise ConfigError("; ".join(faults))
