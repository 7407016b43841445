"""Contexts are made from files, and those that let in too much are refused."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from trio.testing import MockClock as Clock

from tests.transports.tls_helpers import CA, OTHER_CA, Contexts, Pair, contexts, named
from trio_gossip_transports import MemoryNetwork
from trio_gossip_transports.tls import TLSTransport
from trio_gossip_transports.tls_contexts import tls_contexts
from trio_gossip_transports.tls_stream import names_of


def write(folder: Path, *names: str, ca: trustme.CA = CA) -> tuple[Path, Path, Path]:
    files = tuple(folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
    issued = ca.issue_cert(*names)
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(files[0]), append=number > 0)
    issued.private_key_pem.write_to_path(str(files[1]))
    CA.cert_pem.write_to_path(str(files[2]))
    return files


async def test_contexts_from_files_make_streams(tmp_path: Path, autojump_clock: Clock) -> None:
    below = CA.create_child_ca()
    async with Pair(tls_contexts(*write(tmp_path, "a", ca=below)), named("b")) as pair:
        ours, theirs = await pair.connect("b")
        assert (ours.peer_names, theirs.peer_names) == (("b",), ("a",))
        assert ours._secured.version() == "TLSv1.3"
    async with Pair(named("b"), tls_contexts(*write(tmp_path, "a", ca=below))) as pair:
        await pair.connect("a")


def test_only_the_given_ca_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.pem"
    OTHER_CA.cert_pem.write_to_path(str(other))
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    assert len(ssl.create_default_context().get_ca_certs()) >= 1
    for context in tls_contexts(*write(tmp_path, "a")):
        assert len(context.get_ca_certs()) == 1


def test_files_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    certificate, key, ca = write(tmp_path, "a")
    with pytest.raises(FileNotFoundError):
        tls_contexts(tmp_path / "none", key, ca)
    with pytest.raises(ssl.SSLError):
        tls_contexts(key, key, ca)
    with pytest.raises(ssl.SSLError):
        tls_contexts(certificate, key, key)
    CA.issue_cert("b").private_key_pem.write_to_path(str(key))
    with pytest.raises(ssl.SSLError, match=r"KEY_VALUES_MISMATCH|mismatch"):
        tls_contexts(certificate, key, ca)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    certificate, key, ca = write(tmp_path, "a")
    secret = load_pem_private_key(key.read_bytes(), None)
    sealing = BestAvailableEncryption(b"word")
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing))
    with pytest.raises(ssl.SSLError, match="password"):
        tls_contexts(certificate, key, ca)


def broken(which: int, **values: object) -> Contexts:
    pair = contexts("a")
    for name, value in values.items():
        setattr(pair[which], name, value)
    return pair


WEAK = {
    "server context must have verify_mode": lambda: broken(0, verify_mode=ssl.CERT_OPTIONAL),
    "client context must have verify_mode": lambda: broken(1, verify_mode=ssl.CERT_NONE),
    "server context must have minimum_version": lambda: broken(
        0, minimum_version=ssl.TLSVersion.TLSv1_2
    ),
    "client context must have minimum_version": lambda: broken(
        1, minimum_version=ssl.TLSVersion.TLSv1_2
    ),
    "must have num_tickets 0": lambda: broken(0, num_tickets=2),
    "must have check_hostname False": lambda: broken(1, check_hostname=True),
    "server context must be of": lambda: contexts("a")[1:] * 2,
    "client context must be of": lambda: contexts("a")[:1] * 2,
}


@pytest.mark.parametrize("fault", WEAK)
async def test_a_context_that_lets_in_too_much_is_refused(
    fault: str, autojump_clock: Clock
) -> None:
    inner = MemoryNetwork().transport("a")
    with pytest.raises(ValueError, match=fault):
        TLSTransport(inner, *WEAK[fault]())
    # It left the transport alone: nothing accepts from it in the background.
    async with TLSTransport(inner, *named("a")) as transport:
        with pytest.raises(ValueError, match=fault):
            transport.reload(*WEAK[fault]())
        assert transport.statistics().reloads == 0
        await transport.open_stream(transport.local_address, "a")


def test_it_is_made_inside_of_trio() -> None:
    with pytest.raises(RuntimeError):
        TLSTransport(MemoryNetwork().transport("a"), *named("a"))


def test_a_certificate_that_was_not_shown_names_nobody() -> None:
    assert names_of(None) == names_of({}) == ()
    subject = ((("commonName", "x"),), (("organizationName", "o"),), (("commonName", ""),))
    others = (("DNS", "y"), ("IP Address", "10.0.0.1"), ("DNS", "x"), ("URI", "z:z"))
    assert names_of({"subject": subject, "subjectAltName": others}) == ("y", "x")


async def test_the_contexts_of_a_member_reach_itself(tmp_path: Path, autojump_clock: Clock) -> None:
    inner = MemoryNetwork().transport("a")
    async with TLSTransport(inner, *tls_contexts(*write(tmp_path, "a"))) as transport:
        ours = await transport.open_stream(transport.local_address, "a")
        theirs, source = await transport.accept_stream()
        assert source.host == "a"
        async with ours, theirs, trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, b"x" * 300_000)
            received = 0
            while received < 300_000:
                received += len(await theirs.receive_some())
