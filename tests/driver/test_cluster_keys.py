"""``cluster.keys``: keys of a running cluster, changed under load and when something is wrong."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import trio

from tests.driver.load import Load
from tests.driver.world import World, host_of, names_of, seed_of, soon, until
from trio_gossip import (
    Cluster,
    GossipError,
    KeyChangeError,
    KeyReport,
    LocalProtocolError,
    Transport,
)
from trio_gossip_transports import EncryptedTransport, Key, Keyring

OLD, NEW, OTHER = (Key(bytes([number]) * 32) for number in (1, 2, 3))
GRACE = 3600.0
CERTAIN = {"retransmit_mult": 12}
"""Gossip misses a member now and then, keys or not: about one broadcast of a thousand in a cluster
of five. Told three times as often it does not, and what is missing here was lost by the keys."""


class SealedWorld(World):
    """Members with keyrings."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(nursery)
        self.rings: dict[str, Keyring] = {}
        self.transports: dict[str, EncryptedTransport] = {}

    async def sealed(self, name: str, *keys: Key, grace: float = GRACE) -> Cluster:
        ring = Keyring(keys or [OLD], grace=grace, clock=trio.current_time)
        inner = self.network.transport(host_of(name))
        self.rings[name] = ring
        self.transports[name] = EncryptedTransport(inner, ring)
        return await self.start(name, transport=self.transports[name], **CERTAIN)

    async def cluster(self, names: str, *keys: Key, grace: float = GRACE) -> list[Cluster]:
        clusters = [await self.sealed(name, *keys, grace=grace) for name in names]
        for cluster in clusters[1:]:
            await cluster.join([seed_of(names[0])])
        await self.wait_agreed(clusters)
        return clusters

    def rings_are(self, *keys: Key) -> bool:
        return all(ring.list() == keys for ring in self.rings.values())


@pytest.fixture
async def sealed(nursery: trio.Nursery) -> SealedWorld:
    return SealedWorld(nursery)


async def rotate(cluster: Cluster, old: Key, new: Key) -> list[KeyReport]:
    keys = cluster.keys
    return [
        await soon(keys.install, new),
        await soon(keys.use, new),
        await soon(keys.remove, old),
    ]


# -- the whole thing --------------------------------------------------------------------


async def test_a_rotation_under_load_loses_nothing_and_suspects_nobody(
    sealed: SealedWorld,
) -> None:
    clusters = await sealed.cluster("abcde")
    load = Load(clusters, pause=0.1)
    async with load.running():
        await trio.sleep(5)
        reports = await rotate(clusters[2], OLD, NEW)
        await trio.sleep(5)
        reports += await rotate(clusters[4], NEW, OTHER)
        await trio.sleep(5)
    assert load.troubles == []
    assert load.repeated() == []
    assert len(load.letters) > 500
    assert [report.failed for report in reports] == [()] * 6
    assert sealed.rings_are(OTHER)
    assert reports[-1].answers["a"].keys == (OTHER.fingerprint,)


async def test_a_list_tells_who_has_which_keys(sealed: SealedWorld) -> None:
    a, _, c = await sealed.cluster("abc")
    sealed.rings["b"].install(NEW)
    report = await soon(c.keys.list)
    assert report.operation == "list"
    assert report.answers["b"].keys == (OLD.fingerprint, NEW.fingerprint)
    assert report.answers["a"].primary == report.answers["c"].primary == OLD.fingerprint
    await sealed.kill("b")
    report = await soon(a.keys.list)
    assert report.failed == ("b",)


async def test_a_key_may_be_given_in_every_usual_way(sealed: SealedWorld) -> None:
    [a] = await sealed.cluster("a")
    for key in (NEW, NEW.secret, NEW.text, f" {NEW.text.rstrip('=')}\n"):
        assert (await soon(a.keys.install, key)).key == NEW.fingerprint
    for key in (NEW, NEW.secret, NEW.text, NEW.id, NEW.fingerprint):
        assert (await soon(a.keys.use, key)).key == NEW.fingerprint
        await soon(a.keys.use, OLD.fingerprint)
    for key in (NEW, NEW.secret, NEW.text, NEW.id, NEW.fingerprint):
        await soon(a.keys.install, NEW)
        assert (await soon(a.keys.remove, key)).key == NEW.fingerprint
        assert sealed.rings_are(OLD)


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        ("no base64!", LocalProtocolError, "no base64 of a key"),
        (base64.b64encode(b"short").decode(), LocalProtocolError, None),
        (b"short", LocalProtocolError, "16, 24 or 32 bytes, not 5"),
        (5, TypeError, "a key is bytes, text or a Key, not int"),
    ],
)
async def test_what_is_no_key_is_refused_at_the_call(
    sealed: SealedWorld, key: object, kind: type[Exception], text: str | None
) -> None:
    [a] = await sealed.cluster("a")
    for call in (a.keys.install, a.keys.use, a.keys.remove):
        with pytest.raises(kind, match=text):
            await call(key)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="neither a key nor the id of one"):
        await a.keys.use("secret!!")
    assert sealed.rings_are(OLD)


# -- refusals ---------------------------------------------------------------------------


async def test_a_transport_without_a_keyring_has_no_keys_to_change(world: World) -> None:
    a, b = await world.cluster_of("ab")
    for call in (a.keys.list, lambda: a.keys.install(NEW), lambda: b.keys.use(NEW.id)):
        with pytest.raises(
            LocalProtocolError, match="no keyring: wrap it in an EncryptedTransport"
        ):
            await call()


async def test_a_change_that_would_lock_somebody_out_is_refused(sealed: SealedWorld) -> None:
    a, b, _ = await sealed.cluster("abc")
    with pytest.raises(KeyChangeError, match="a: the key is not installed"):
        await a.keys.use(NEW)
    with pytest.raises(KeyChangeError, match="b: the key is its primary key"):
        await b.keys.remove(OLD)
    sealed.rings["c"].install(NEW)
    sealed.rings["a"].install(NEW)
    with pytest.raises(GossipError, match="b: the key is not installed") as caught:
        await a.keys.use(NEW)
    assert isinstance(caught.value, KeyChangeError)
    assert caught.value.report.answers["c"].ok
    sealed.rings["b"].install(NEW)
    sealed.rings["b"].use(NEW)
    with pytest.raises(KeyChangeError, match="b: the key is its primary key"):
        await a.keys.remove(NEW)
    assert all(len(ring.list()) == 2 for ring in sealed.rings.values())


async def test_nothing_is_changed_while_a_member_does_not_answer(sealed: SealedWorld) -> None:
    a, b, _ = await sealed.cluster("abc")
    await sealed.kill("c")
    with pytest.raises(KeyChangeError, match=r"c: at 10\.0\.0\.3:7946: ") as caught:
        await soon(a.keys.install, NEW)
    assert caught.value.refused
    assert sealed.rings["b"].list() == (OLD,)
    await soon(a.wait_member, "c", state="failed")
    await soon(b.wait_member, "c", state="failed")
    assert list((await soon(b.keys.install, NEW)).answers) == ["a", "b"]


@pytest.mark.parametrize("switch", ["send_plain", "accept_plain"])
async def test_no_key_is_installed_while_a_member_speaks_in_the_clear(
    sealed: SealedWorld, switch: str
) -> None:
    a, b = await sealed.cluster("ab")
    setattr(sealed.transports["b"], switch, True)
    sealed.transports["a"].accept_plain = switch == "send_plain"
    for cluster in (a, b):
        with pytest.raises(KeyChangeError, match="it still sends or takes what is not sealed"):
            await soon(cluster.keys.install, NEW)
    assert sealed.rings_are(OLD)
    assert (await soon(a.keys.list)).failed == ()


async def test_a_member_without_the_service_is_named(sealed: SealedWorld) -> None:
    """Its transport hides the keyring; so does that of an earlier version."""
    [a] = await sealed.cluster("a")
    ring = Keyring([OLD])

    class Hiding(EncryptedTransport):
        keyring = Transport.keyring  # type: ignore[assignment]

    inner = sealed.network.transport(host_of("b"))
    b = await sealed.start("b", transport=Hiding(inner, ring))
    await b.join([seed_of("a")])
    await sealed.wait_agreed([a, b])
    with pytest.raises(KeyChangeError, match=r"b: refused the request .*: b has no service 1"):
        await soon(a.keys.install, NEW)


async def test_who_has_left_changes_no_keys(sealed: SealedWorld) -> None:
    a, _ = await sealed.cluster("ab")
    await a.leave()
    with pytest.raises(LocalProtocolError, match="left"):
        await a.keys.list()


# -- several at once, and calls that are given up ---------------------------------------


async def test_of_two_operators_at_most_one_changes_the_keys(sealed: SealedWorld) -> None:
    clusters = await sealed.cluster("abcde")
    outcomes: dict[str, KeyReport | KeyChangeError] = {}

    async def install(cluster: Cluster, key: Key) -> None:
        try:
            outcomes[cluster.local.name] = await soon(cluster.keys.install, key)
        except KeyChangeError as error:
            outcomes[cluster.local.name] = error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(install, clusters[0], NEW)
        nursery.start_soon(install, clusters[3], OTHER)
    done = [name for name, outcome in outcomes.items() if isinstance(outcome, KeyReport)]
    assert len(done) <= 1
    for outcome in outcomes.values():
        assert isinstance(outcome, KeyReport) or "is changing the keys" in str(outcome)
    rings = {ring.list() for ring in sealed.rings.values()}
    assert len(rings) == 1
    await soon(clusters[1].keys.install, NEW)  # no lease is left


async def test_a_cancelled_change_is_made_everywhere_or_nowhere(sealed: SealedWorld) -> None:
    clusters = await sealed.cluster("abcde")
    outcomes = set()
    for step in range(24):
        with trio.move_on_after(step * 0.0008):
            await clusters[0].keys.install(NEW)
        await trio.sleep(5)
        [keys] = {ring.list() for ring in sealed.rings.values()}
        outcomes.add(keys)
        if keys != (OLD,):
            await soon(clusters[1].keys.remove, NEW)
    assert outcomes == {(OLD,), (OLD, NEW)}


# -- members that were away -------------------------------------------------------------


async def absent_during_a_rotation(
    sealed: SealedWorld, grace: float
) -> tuple[list[Cluster], Cluster]:
    """``c`` is cut off, the others rotate, and it is let in again after five minutes."""
    a, b, c = await sealed.cluster("abc", grace=grace)
    sealed.network.partition({host_of("c")}, {host_of("a"), host_of("b")})
    await soon(a.wait_member, "c", state="failed")
    await soon(b.wait_member, "c", state="failed")
    await rotate(a, OLD, NEW)
    await trio.sleep(300)
    sealed.network.heal()
    return [a, b], c


async def test_who_was_away_is_brought_up_within_the_grace(sealed: SealedWorld) -> None:
    (a, b), c = await absent_during_a_rotation(sealed, 3600.0)
    assert sealed.rings["c"].list() == (OLD,)
    await until(lambda: all(names_of(cluster) == ["a", "b", "c"] for cluster in (a, b, c)))
    assert sealed.rings_are(NEW)
    report = await soon(c.keys.list)
    assert [answer.primary for answer in report.answers.values()] == [NEW.fingerprint] * 3


async def test_who_was_away_for_longer_stays_outside(sealed: SealedWorld) -> None:
    (a, b), c = await absent_during_a_rotation(sealed, 60.0)
    await trio.sleep(300)
    assert names_of(a) == names_of(b) == ["a", "b"]
    assert names_of(c) == ["c"]
    assert sealed.rings["c"].list() == (OLD,)


async def test_a_leaked_key_brings_nobody_up(sealed: SealedWorld) -> None:
    a, b, _ = await sealed.cluster("abc")
    sealed.network.partition({host_of("c")}, {host_of("a"), host_of("b")})
    await soon(a.wait_member, "c", state="failed")
    await soon(b.wait_member, "c", state="failed")
    await rotate(a, OLD, NEW)
    await soon(b.keys.remove, OLD, leaked=True)
    sealed.network.heal()
    await trio.sleep(300)
    assert names_of(a) == ["a", "b"]


async def test_what_others_install_is_in_the_file_of_a_ring_that_saves_itself(
    sealed: SealedWorld, tmp_path: Path
) -> None:
    a, _ = await sealed.cluster("ab")
    path = tmp_path / "keys"
    Keyring([OLD]).save(path)
    inner = sealed.network.transport(host_of("c"))
    ring = Keyring.load(path, autosave=True)
    c = await sealed.start("c", transport=EncryptedTransport(inner, ring))
    await c.join([seed_of("a")])
    await soon(a.wait_member, "c")
    await rotate(a, OLD, NEW)
    assert Keyring.load(path).list() == (NEW,)
