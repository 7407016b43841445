"""Each kind of wrong peer has an error that names it and says what is wrong, on both sides."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock as Clock

from tests.transports.tls_helpers import (
    OTHER_CA,
    Contexts,
    Pair,
    contexts,
    expired,
    named,
    not_yet_valid,
)
from trio_gossip.failures import DialFailure
from trio_gossip.transport import DialError, classify_dial_error
from trio_gossip_transports import MemoryNetwork
from trio_gossip_transports.tls import TLSTransport


def no_certificate(name: str) -> Contexts:
    return contexts(shows=False)


def of_another_ca(name: str) -> Contexts:
    return contexts(name, ca=OTHER_CA)


def nameless(name: str) -> Contexts:
    return contexts("10.0.0.9")  # an address is no name


class Case:
    """Who is wrong, and what each side says of the other."""

    def __init__(self, wrong: Any, dialler: str, acceptor: str) -> None:
        self.wrong, self.dialler, self.acceptor = wrong, dialler, acceptor


WRONG_DIALLERS = {
    "other_ca": Case(of_another_ca, "refused_untrusted", "untrusted"),
    "expired": Case(expired, "refused_expired", "expired"),
    "not_yet_valid": Case(not_yet_valid, "refused", "not_yet_valid"),
    "no_certificate": Case(no_certificate, "refused_missing", "no_certificate"),
    "nameless": Case(nameless, "refused_no_name", "no_name"),
}

WRONG_ACCEPTORS = {
    "other_ca": Case(of_another_ca, "untrusted", "refused_untrusted"),
    "expired": Case(expired, "expired", "refused_expired"),
    "not_yet_valid": Case(not_yet_valid, "not_yet_valid", "refused"),
    "nameless": Case(nameless, "no_name", ""),
}


async def check(pair: Pair, case: Case, text: str) -> None:
    with pytest.raises(DialError) as caught:
        await pair.dial("b")
    assert classify_dial_error(caught.value) is DialFailure.HANDSHAKE
    assert str(caught.value) == f"10.0.0.2:7946 (b) {text}"
    await trio.sleep(1)
    assert pair.left.statistics().dial_faults == {case.dialler: 1}
    assert pair.right.statistics().accept_faults == ({case.acceptor: 1} if case.acceptor else {})
    assert pair.right.statistics().handshakes == 0


TEXTS = {
    "refused_untrusted": "refuses our certificate: its CA has not signed it",
    "refused_expired": "refuses our certificate: it has expired",
    "refused": "refuses our certificate",
    "refused_missing": "wants a certificate, and we have none",
    "refused_no_name": "refuses our certificate: it names nobody",
    "untrusted": "shows a certificate that our CA has not signed",
    "expired": "shows a certificate that has expired",
    "not_yet_valid": "shows a certificate that is not valid yet",
    "no_name": "shows a certificate that names nobody",
}


@pytest.mark.parametrize("kind", WRONG_DIALLERS)
async def test_a_dialler_with_a_bad_certificate_hears_what_is_wrong(
    kind: str, autojump_clock: Clock
) -> None:
    case = WRONG_DIALLERS[kind]
    async with Pair(case.wrong("a"), named("b")) as pair:
        await check(pair, case, TEXTS[case.dialler])
        assert pair.right.statistics().ready == 0, "nobody who is wrong is handed out"


@pytest.mark.parametrize("kind", WRONG_ACCEPTORS)
async def test_an_acceptor_with_a_bad_certificate_is_not_talked_to(
    kind: str, autojump_clock: Clock
) -> None:
    case = WRONG_ACCEPTORS[kind]
    async with Pair(named("a"), case.wrong("b")) as pair:
        await check(pair, case, TEXTS[case.dialler])


async def test_a_peer_without_any_certificate_cannot_accept(autojump_clock: Clock) -> None:
    async with Pair(named("a"), no_certificate("b")) as pair:
        with pytest.raises(DialError, match=r"^10.0.0.2:7946 ") as caught:
            await pair.dial()
        assert caught.value.failure is DialFailure.HANDSHAKE


async def test_the_certificate_of_another_member_ends_a_dial(autojump_clock: Clock) -> None:
    async with Pair(named("a"), named("c", "d")) as pair:
        with pytest.raises(DialError) as caught:
            await pair.dial("b")
        text = "10.0.0.2:7946 (b) shows the certificate of another member: 'c' and 'd'"
        assert str(caught.value) == text
        assert caught.value.failure is DialFailure.HANDSHAKE
        assert pair.left.statistics().dial_faults == {"wrong_name": 1}
        # The other side did nothing wrong and finds a stream that ended.
        stream, _ = await pair.right.accept_stream()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)


async def test_a_seed_whose_name_is_not_known_may_have_any(autojump_clock: Clock) -> None:
    async with Pair(named("a"), named("b")) as pair:
        ours, theirs = await pair.connect(None)
        assert (ours.peer_names, theirs.peer_names) == (("b",), ("a",))


async def test_names_are_compared_as_they_are(autojump_clock: Clock) -> None:
    async with Pair(named("a"), contexts("*.example.org")) as pair:
        for name in ("b.example.org", "*.EXAMPLE.org", ""):
            with pytest.raises(DialError):
                await pair.dial(name)
        await pair.dial("*.example.org")


async def test_a_name_that_no_host_could_have_stands_in_the_common_name(
    autojump_clock: Clock,
) -> None:
    name = "Web/7 östlich"
    async with Pair(named("a"), contexts("b", common_name=name)) as pair:
        assert (await pair.dial(name)).peer_names == ("b", name)


async def test_without_require_name_the_ca_alone_decides(autojump_clock: Clock) -> None:
    for ours, theirs in ((nameless("a"), nameless("b")), (named("a"), named("c"))):
        async with Pair(ours, theirs, require_name=False) as pair:
            left, right = await pair.connect("b")
            assert (left.peer_names, right.peer_names) == ((), ())
    async with Pair(named("a"), of_another_ca("b"), require_name=False) as pair:
        with pytest.raises(DialError):
            await pair.dial("b")


async def test_a_peer_that_answers_in_the_clear_does_not_speak_tls(autojump_clock: Clock) -> None:
    network = MemoryNetwork()
    plain = network.transport("plain")
    async with TLSTransport(network.transport("ours"), *named("a")) as ours:

        async def answer() -> None:
            stream, _ = await plain.accept_stream()
            await stream.receive_some(10)
            await stream.send_all(b"\x83\x01\x02\x03 what is that?")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            with pytest.raises(DialError, match=r"^plain:7946 \(b\) does not speak TLS$") as caught:
                await ours.open_stream(plain.local_address, "b")
        assert caught.value.failure is DialFailure.HANDSHAKE
        assert ours.statistics().dial_faults == {"plain": 1}


@pytest.mark.parametrize(
    "first", [b"\x83\x01\x02\x03\x04\x05\x06", b"GET / HTTP/1.0\r\n\r\n", bytes(20), b"\xff" * 99]
)
async def test_a_peer_that_begins_in_the_clear_does_not_speak_tls(
    first: bytes, autojump_clock: Clock
) -> None:
    network = MemoryNetwork()
    plain = network.transport("plain")
    async with TLSTransport(network.transport("ours"), *named("a")) as ours:
        stream = await plain.open_stream(ours.local_address)
        await stream.send_all(first)
        await trio.sleep(1)
        assert ours.statistics().accept_faults == {"plain": 1}


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_peer_that_goes_away_in_the_handshake_is_told_apart(
    is_reset: bool, autojump_clock: Clock
) -> None:
    network = MemoryNetwork()
    plain = network.transport("plain")
    async with TLSTransport(network.transport("ours"), *named("a")) as ours:

        async def go() -> None:
            stream, _ = await plain.accept_stream()
            await stream.receive_some(10_000)
            stream.close_now(is_reset=is_reset)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(go)
            with pytest.raises(DialError) as caught:
                await ours.open_stream(plain.local_address)
        expected = DialFailure.RESET if is_reset else DialFailure.HANDSHAKE
        assert caught.value.failure is expected
        assert ours.statistics().dial_faults == {"broken" if is_reset else "closed": 1}


def only_tls_1_2(pair: Contexts) -> Contexts:
    for context in pair:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return pair


async def test_a_peer_that_accepts_no_tls_1_3_is_turned_down(autojump_clock: Clock) -> None:
    network = MemoryNetwork()
    old = network.transport("old")
    server, _ = only_tls_1_2(contexts("b"))
    async with TLSTransport(network.transport("ours"), *named("a")) as ours:

        async def answer() -> None:
            stream = trio.SSLStream((await old.accept_stream())[0], server, server_side=True)
            with pytest.raises(trio.BrokenResourceError):
                await stream.do_handshake()
            await trio.aclose_forcefully(stream)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            with pytest.raises(DialError) as caught:
                await ours.open_stream(old.local_address, "b")
        assert caught.value.failure is DialFailure.HANDSHAKE


async def test_a_peer_that_dials_with_tls_1_2_hears_of_it(autojump_clock: Clock) -> None:
    network = MemoryNetwork()
    old = network.transport("old")
    _, client = only_tls_1_2(contexts("b"))
    async with TLSTransport(network.transport("ours"), *named("a")) as ours:
        stream = trio.SSLStream(await old.open_stream(ours.local_address), client)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.do_handshake()
        assert "PROTOCOL_VERSION" in str(caught.value.__cause__)
        await trio.sleep(1)
        assert ours.statistics().accept_faults == {"version": 1}


async def test_one_line_a_minute_for_each_kind_of_fault(
    caplog: pytest.LogCaptureFixture, autojump_clock: Clock
) -> None:
    caplog.set_level(logging.WARNING, "trio_gossip_transports.tls")
    async with Pair(expired("a"), named("b")) as pair:
        for _ in range(5):
            with pytest.raises(DialError):
                await pair.dial("b")
        await trio.sleep(1)
        ours = [each.message for each in caplog.records if "refuses" in each.message]
        assert ours == ["10.0.0.2:7946 (b) refuses our certificate: it has expired"]
        assert len(caplog.records) == 2
        assert pair.right.statistics().accept_faults == {"expired": 5}
        await trio.sleep(60)
        with pytest.raises(DialError):
            await pair.dial("b")
        assert len(caplog.records) >= 3
