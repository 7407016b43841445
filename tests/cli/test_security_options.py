"""Keys and certificates as options of an agent: whatever is wrong with them is one clear line."""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

import trio_gossip_transports
from tests.cli.certificate_files import CA, OTHER_CA, issued, write_member
from trio_gossip.cli.certificates import PEM_BYTES_MAX, load_certificates
from trio_gossip.cli.commands import commands
from trio_gossip.cli.problems import BadInputError
from trio_gossip.cli.security import Security, SecuritySettings
from trio_gossip_transports import EncryptedTransport, Key, Keyring, MemoryNetwork, TLSTransport

GOOD = ("agent", "--name", "a", "--bind", "127.0.0.1:0")
TLS = ("--tls-cert", "c", "--tls-key", "k", "--tls-ca", "a")

BAD_PAIRS = [
    (("--label", "x"), "--label needs --keyring: without keys nothing is sealed"),
    (("--label", ""), "--label needs --keyring"),
    (("--accept-plain",), "--accept-plain needs --keyring"),
    (("--send-plain",), "--send-plain needs --keyring"),
    (("--keyring", "k", "--send-plain"), "--send-plain needs --accept-plain"),
    (("--keyring", "k", "--label", "x" * 256), "--label has 256 bytes, at most 255"),
    (TLS[:2], "TLS needs --tls-key and --tls-ca as well"),
    (TLS[2:4], "TLS needs --tls-cert and --tls-ca as well"),
    (TLS[:4], "TLS needs --tls-ca as well"),
    ((*TLS[:4], "--tls-ca", ""), "--tls-cert c: no such file"),
    (("--tls-ca", ""), "TLS needs --tls-cert and --tls-key as well"),
    (("--tls-packets",), "--tls-packets needs --tls-cert, --tls-key and --tls-ca"),
    (("--control", ""), "--control : it is no path of a file"),
    (("--keyring", "no/such"), "--keyring no/such: no such file or directory"),
    (("--keyring", ""), "--keyring : no such file or directory"),
    (TLS, "--tls-cert c: no such file or directory"),
    (("--control", "no/such/folder"), "--control no/such/folder: no such file or directory"),
]


@pytest.mark.parametrize(("options", "part"), BAD_PAIRS)
def test_options_that_cannot_be_meant_are_one_line(options, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(commands, (*GOOD, *options))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"trio-gossip: {part}")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def refused(part: str):
    with pytest.raises(BadInputError) as caught:
        yield
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


# -- keyrings ---------------------------------------------------------------------------


@pytest.fixture
def keyring(tmp_path):
    path = tmp_path / "ring"
    Keyring([Key.generate()]).save(path)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o666])
def test_a_keyring_that_others_can_get_at_is_refused(keyring, mode):
    keyring.chmod(mode)
    with refused(f"--keyring {keyring}: other users can get at it (mode {mode:04o}); run: chmod"):
        Security(SecuritySettings(keyring=str(keyring)), "a")


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff", b"#" * 20_000])
def test_a_keyring_without_keys_is_refused(keyring, content):
    keyring.write_bytes(content)
    with refused(f"--keyring {keyring}: "):
        Security(SecuritySettings(keyring=str(keyring)), "a")


@pytest.mark.parametrize("kind", ["folder", "pipe", "null"])
def test_a_keyring_that_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "ring"
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    with refused("--keyring "):
        name = {"folder": str(tmp_path), "pipe": str(path), "null": "a\0b"}[kind]
        Security(SecuritySettings(keyring=name), "a")


# -- certificates -----------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    return write_member(tmp_path, "a", "a.example")


def load(files, name="a", **changes):
    return load_certificates(attrs.evolve(files, **changes), name)


def test_files_that_go_together_are_contexts(files):
    found = load(files)
    assert found.names == ("a", "a.example")
    assert found.until == load(files, name="a.example").until


def test_a_chain_with_a_ca_between_is_taken(tmp_path):
    between = CA.create_child_ca()
    load(write_member(tmp_path, "a", leaf=between.issue_cert("a")))


def test_the_name_of_another_member_is_refused(files):
    with refused(f"--tls-cert {files.certificate}: it names 'a' and 'a.example', and not 'b'"):
        load(files, name="b")


@pytest.mark.parametrize(
    ("leaf", "part"),
    [
        (lambda: issued("a", first=-9, last=-1), "it has expired, or that of its CA; here it is"),
        (lambda: issued("a", first=1, last=9), "it is not valid yet; here it is"),
        (lambda: issued("a", ca=OTHER_CA), "has signed it"),
        (lambda: CA.issue_cert("10.0.0.1"), "it names nobody"),
    ],
)
def test_a_certificate_that_peers_would_refuse_is_refused_here(tmp_path, leaf, part):
    files = write_member(tmp_path, "a", leaf=leaf())
    with pytest.raises(BadInputError) as caught:
        load(files)
    assert str(caught.value).startswith(f"--tls-cert {files.certificate}: ")
    assert part in str(caught.value)


def test_a_key_of_another_certificate_is_refused(tmp_path, files):
    other = write_member(tmp_path, "b")
    with refused(f"--tls-key {other.key}: it is not the key of the certificate in"):
        load(files, key=other.key)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(files):
    key = load_pem_private_key(Path(files.key).read_bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    Path(files.key).write_bytes(locked)
    with refused(f"--tls-key {files.key}: it has a password"):
        load(files)


@pytest.mark.parametrize("field", ["certificate", "key", "ca"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_file_of_something_else_is_refused_by_its_option(files, field, content):
    path = getattr(files, field)
    Path(path).write_bytes(content)
    option = {"certificate": "--tls-cert", "key": "--tls-key", "ca": "--tls-ca"}[field]
    with refused(f"{option} {path}: there is no "):
        load(files)


@pytest.mark.parametrize("field", ["certificate", "key", "ca"])
def test_files_that_are_mixed_up_are_refused(files, field):
    others = {"certificate": files.key, "key": files.ca, "ca": files.key}
    with refused("in PEM format in it"):
        load(files, **{field: others[field]})


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("missing", "no such file or directory"),
        ("folder", "is a directory"),
        ("pipe", "it is not a plain file"),
        ("long", "it is longer than 1048576 bytes"),
        ("null", "embedded null byte"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, files, kind, part):
    path = str(tmp_path / "odd")
    if kind == "folder":
        path = str(tmp_path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "long":
        Path(path).write_bytes(b"\n" * (PEM_BYTES_MAX + 1))
    elif kind == "null":
        path = "a\0b"
    with refused(f"--tls-key {path}: {part}"):
        load(files, key=path)


def test_a_private_key_that_everybody_can_read_is_one_warning(files, caplog):
    Path(files.key).chmod(0o640)  # a group for certificates is usual
    load(files)
    assert caplog.messages == []
    Path(files.key).chmod(0o644)
    load(files)
    assert caplog.messages == [f"--tls-key {files.key}: every user can get at this private key"]


# -- the transport made of it -----------------------------------------------------------


async def test_tls_is_put_below_sealing(files, keyring):
    settings = SecuritySettings(
        keyring=str(keyring), label=b"prod", accept_plain=True, send_plain=True, tls=files
    )
    inner = MemoryNetwork().transport("a")
    async with Security(settings, "a").wrap(inner) as transport:
        assert isinstance(transport, EncryptedTransport)
        assert isinstance(transport._inner, TLSTransport)
        assert (transport.accept_plain, transport.send_plain) == (True, True)
        assert transport._label == b"prod"


async def test_packets_travel_over_tls_where_it_is_asked_for(files):
    settings = SecuritySettings(tls=files, tls_packets=True)
    security = Security(settings, "a")
    async with security.wrap(MemoryNetwork().transport("a")) as transport:
        assert isinstance(transport, TLSTransport)
        assert transport.statistics().packets is not None
        assert security.describe()["tls_packets"] is True


def test_what_openssl_alone_finds_wrong_is_one_line_too(files, monkeypatch):
    def refuse(*_):
        raise ssl.SSLError(1, "[SSL: EE_KEY_TOO_SMALL] ee key too small")

    monkeypatch.setattr(trio_gossip_transports, "tls_contexts", refuse)
    with refused(f"--tls-cert {files.certificate}: it cannot be used: "):
        load(files)


async def test_without_options_the_transport_is_as_it_was():
    inner = MemoryNetwork().transport("a")
    async with Security(SecuritySettings(), "a").wrap(inner) as transport:
        assert transport is inner
