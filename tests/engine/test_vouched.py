"""What the admission hook learns of who is asking, and when it learns nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.exchanging import join, record, refusal_of, table
from trio_gossip import Candidate, Member
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Refusal, SyncMembers
from trio_gossip.errors import RemoteProtocolError
from trio_gossip.failures import DialFailure, RefusalReason

NEW = Address("h-new-place", 9)


class Asked:
    """A hook that remembers what it was asked."""

    def __init__(self) -> None:
        self.names: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, candidate: Candidate) -> bool:
        assert isinstance(candidate, Member)
        self.names.append((candidate.name, candidate.authenticated_names))
        return True


def accept(bench: Bench, *names: str) -> int:
    exchange = bench.engine.new_exchange()
    where = Address("h-peer", 40000)
    bench.take(bench.engine.exchange_accepted(exchange, where, names, now=bench.now))
    return exchange


def dial(bench: Bench, *names: str) -> int:
    bench.take(bench.engine.join(address_of("peer"), token=1, now=bench.now))
    exchange = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_opened(exchange, names, now=bench.now))
    return exchange


def test_a_peer_that_dialled_is_known_by_all_names_of_its_certificate() -> None:
    asked = Asked()
    bench = Bench(admit=asked)
    exchange = accept(bench, "peer", "peer.example")
    bench.frames(exchange, *table(record("peer"), record("b")))
    bench.take(bench.engine.exchange_failed(exchange, DialFailure.RESET, now=bench.now))
    vouched = ("peer", ("peer", "peer.example"))
    # Once before its table is read, and once for its own record in it; "b" is hearsay.
    assert asked.names == [vouched, vouched, ("b", ())]


def test_a_peer_that_we_dialled_is_known_by_them_too() -> None:
    asked = Asked()
    bench = Bench(admit=asked)
    bench.frames(dial(bench, "peer"), *table(record("peer"), record("b")))
    assert asked.names == [("peer", ("peer",)), ("peer", ("peer",)), ("b", ())]
    assert bench.results[1].error is None


def test_without_certificates_and_in_packets_there_are_no_names() -> None:
    asked = Asked()
    bench = Bench(admit=asked)
    bench.frames(join(bench), *table(record("peer")))
    bench.receive("a", alive("a"))
    assert asked.names == [("peer", ()), ("peer", ()), ("a", ())]


def test_the_certificate_of_one_member_says_nothing_of_another() -> None:
    asked = Asked()
    bench = Bench(admit=asked)
    bench.know("b")
    asked.names.clear()
    bench.frames(dial(bench, "peer"), *table(record("peer"), record("b", 2, meta=b"new")))
    assert asked.names[-1] == ("b", ())
    assert bench.member("b").meta == b"new"


def test_a_seed_that_uses_the_name_of_another_is_refused() -> None:
    bench = Bench()
    exchange = dial(bench, "mallory")
    bench.frames(exchange, *table(record("peer"), record("b")))
    error = bench.results[1].error
    assert isinstance(error, RemoteProtocolError)
    assert "your certificate does not name peer" in str(error)
    assert bench.frames_sent(exchange)[-1] == Refusal(
        RefusalReason.NOT_ADMITTED, "your certificate does not name peer"
    )
    assert [member.name for member in bench.engine.members()] == ["me"]


def test_a_seed_of_a_name_that_is_too_long_for_the_refusal_is_refused_all_the_same() -> None:
    bench = Bench()
    name = "x" * 240
    exchange = dial(bench, "mallory")
    bench.frames(exchange, *table(record(name), source=name))
    refusal = bench.frames_sent(exchange)[-1]
    assert isinstance(refusal, Refusal)
    assert len(refusal.text) == 200


def test_a_hook_that_wants_names_lets_a_joiner_in_and_keeps_hearsay_out() -> None:
    bench = Bench(admit=lambda candidate: "peer.ops" in candidate.authenticated_names)
    exchange = accept(bench, "peer", "peer.ops")
    bench.frames(exchange, *table(record("peer"), record("b")))
    assert any(isinstance(frame, SyncMembers) for frame in bench.frames_sent(exchange))
    assert bench.member("peer")
    assert bench.engine.member("b") is None
    exchange = accept(bench, "c")
    bench.frames(exchange, *table(record("c"), source="c"))
    assert refusal_of(bench, exchange).reason == RefusalReason.NOT_ADMITTED


@pytest.mark.parametrize("later", [False, True])
def test_a_name_that_moves_is_asked_about_with_the_names_of_who_said_so(later: bool) -> None:
    asked = Asked()
    bench = Bench(admit=asked)
    bench.know("peer", "b")
    if later:  # hearsay first, and then the member itself
        bench.receive("b", alive("peer", 2, address=NEW))
    changes: dict[str, Any] = {"address": NEW}
    exchange = accept(bench, "peer")
    bench.frames(exchange, *table(record("peer", 3, **changes)))
    bench.take(bench.engine.exchange_failed(exchange, DialFailure.RESET, now=bench.now))
    asked.names.clear()
    bench.wait(0.6)
    assert bench.member("peer").address == NEW
    assert asked.names == [("peer", ("peer",))]
