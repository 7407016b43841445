"""Addresses as people write them, and as members compare them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.codec import strategies
from trio_gossip.addresses import (
    HOST_BYTES_MAX,
    PORT_DEFAULT,
    Address,
    canonical_host,
    parse_address,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", Address("10.0.0.1", 7946)),
        ("10.0.0.1:80", Address("10.0.0.1", 80)),
        ("10.0.0.1:0", Address("10.0.0.1", 0)),
        ("10.0.0.1:65535", Address("10.0.0.1", 65535)),
        ("node-1.example", Address("node-1.example", 7946)),
        ("node-1.example:8000", Address("node-1.example", 8000)),
        ("b\u00fccher:80", Address("b\u00fccher", 80)),
        ("::1", Address("::1", 7946)),
        ("[::1]", Address("::1", 7946)),
        ("[::1]:80", Address("::1", 80)),
        ("[2001:DB8:0::0001]:80", Address("2001:db8::1", 80)),
        ("2001:db8::1", Address("2001:db8::1", 7946)),
        ("::ffff:10.0.0.1", Address("10.0.0.1", 7946)),
        ("[::ffff:a00:1]:80", Address("10.0.0.1", 80)),
        ("[fe80::1%eth0]:80", Address("fe80::1%eth0", 80)),
        ("0.0.0.0:7946", Address("0.0.0.0", 7946)),
        ("h" * HOST_BYTES_MAX, Address("h" * HOST_BYTES_MAX, 7946)),
    ],
)
def test_every_usual_spelling_is_read(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
    assert type(parse_address(text).port) is int


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no host"),
        (":80", "has no host"),
        (":", "has no host"),
        ("host:", "no valid port"),
        ("host:x", "no valid port"),
        ("host:-1", "no valid port"),
        ("host:+1", "no valid port"),
        ("host: 1", "no valid port"),
        ("host:1.0", "no valid port"),
        ("host:65536", "no valid port"),
        ("host:99999999999999999999", "no valid port"),
        ("host:" + "9" * 10_000, "no valid port"),
        ("host:\u0661", "no valid port"),
        ("host:\u00b2", "no valid port"),
        ("[::1]:", "no valid port"),
        ("[::1]:65536", "no valid port"),
        ("a:b:80", "is no address"),
        ("10.0.0.1:80:81", "is no address"),
        ("[::1", "is no address"),
        ("[::1]80", "is no address"),
        ("[]:80", "is no address"),
        ("[10.0.0.1]:80", "is no address"),
        ("[host]:80", "is no address"),
        (" ", "blank or unprintable"),
        ("ho st:80", "blank or unprintable"),
        ("host\n:80", "blank or unprintable"),
        ("ho\u2028st", "blank or unprintable"),
        ("ho\x00st", "blank or unprintable"),
        ("\ud800", "blank or unprintable"),
        ("h" * (HOST_BYTES_MAX + 1), "longer than 255 bytes"),
        ("\u00e9" * 128 + ":80", "longer than 255 bytes"),
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_what_is_no_address_gets_one_line_that_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)


@given(
    st.text(max_size=30) | st.from_regex(r"\[?[0-9a-f:.]{1,20}\]?(:[0-9]{1,7})?", fullmatch=True)
)
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        address = parse_address(text)
        assert 0 <= address.port <= 65535
        assert canonical_host(address.host) == address.host


def test_a_port_behind_zeros_is_checked_whole() -> None:
    with pytest.raises(ValueError, match="no valid port"):
        parse_address("host:000000000999999")


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_the_default_port_is_the_callers_to_choose(port: int) -> None:
    assert parse_address("host", default_port=port).port == port
    assert parse_address("host:80", default_port=port).port == 80
    assert parse_address("host").port == PORT_DEFAULT


@given(strategies.addresses)
def test_what_an_address_prints_is_read_back(address: Address) -> None:
    assume(not address.host.startswith("["))  # no DNS name; only the in-memory network takes it
    assert parse_address(str(address)) == address


def test_an_ipv6_address_is_printed_in_brackets() -> None:
    assert str(Address("::1", 80)) == "[::1]:80"
    assert str(Address("10.0.0.1", 80)) == "10.0.0.1:80"
    assert f"{Address('host', 80)}" == "host:80"


def test_an_address_is_a_tuple_as_sockets_want_it() -> None:
    address = Address("10.0.0.1", 80)
    assert address == ("10.0.0.1", 80)
    assert hash(address) == hash(("10.0.0.1", 80))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a_wildcard_can_be_listened_on_and_not_told(host: str) -> None:
    assert Address(host, 80).is_wildcard


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "host", "0.0.0.1"])
def test_other_hosts_are_no_wildcards(host: str) -> None:
    assert not Address(host, 80).is_wildcard


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::FFFF:10.0.0.1", "10.0.0.1"),
        ("0:0:0:0:0:ffff:0a00:0001", "10.0.0.1"),
        ("2001:0DB8::0001", "2001:db8::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::10.0.0.1", "::a00:1"),
        ("Host", "Host"),
        ("010.0.0.1", "010.0.0.1"),
        ("", ""),
    ],
)
def test_an_ip_address_has_one_spelling(host: str, expected: str) -> None:
    assert canonical_host(host) == expected
    assert canonical_host(expected) == expected
