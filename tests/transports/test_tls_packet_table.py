"""Which connection for packets is taken, and what becomes of one that is old while it is busy."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock as Clock

from tests.transports.tls_packet_helpers import at
from trio_gossip_transports.tls_packet_link import PacketLink
from trio_gossip_transports.tls_packet_table import LinkTable


def link(name: str | None, *names: str, is_accepted: bool = False, is_open: bool = True) -> Any:
    made = PacketLink(at("b"), name, is_accepted=is_accepted, used=0.0, names=names)
    made.opened = 1.0 if is_open else None
    return made


def table(*links: PacketLink) -> LinkTable:
    made = LinkTable(lambda _: None)
    for each in links:
        made.add_dialled(each)
    return made


def test_the_youngest_open_connection_is_taken() -> None:
    """The older one may lead to a former life of the peer, whose host forgot to say goodbye."""
    older, younger, dialling = link("b", "b"), link(None, "b"), link("b", is_open=False)
    found = table(older, younger, dialling)
    assert found.find(at("b"), "b") is younger
    younger.retire()
    assert found.find(at("b"), "b") is older
    older.retire()
    assert found.find(at("b"), "b") is dialling
    found.forget(dialling)
    assert found.find(at("b"), "b") is None
    assert found.find(at("elsewhere"), "b") is None


def test_a_connection_that_is_not_open_serves_the_name_that_it_was_dialled_for() -> None:
    found = table(link("b", is_open=False))
    assert found.find(at("b"), "b")
    assert found.find(at("b"), "c") is None
    assert found.find(at("b"), None) is None


def test_what_is_placed_at_an_address_ends_the_rest_there_only() -> None:
    resting, open_one = link("b", is_open=False), link("c", "c")
    resting.rest(5.0)
    found = table(resting, open_one)
    came = link(None, "b", is_accepted=True)
    found.add_accepted(came)
    found.place(came, at("b"))
    assert set(found.all) == {open_one, came}
    found.forget(came)
    found.forget(came)
    assert found.all == (open_one,)


async def test_a_connection_that_is_never_idle_grows_no_older_than_others(
    autojump_clock: Clock,
) -> None:
    busy = link("b", "b")

    class Stream:
        async def send_all(self, data: bytes) -> None:
            await trio.sleep(1)
            if busy.serves("b"):
                busy.put(b"more")

    busy.put(b"first")
    with trio.fail_after(10):
        await busy.write(Stream(), idle=60.0, life=5.0)
    assert not busy.serves("b")
