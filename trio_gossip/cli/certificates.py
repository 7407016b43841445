"""The files of ``--tls-cert``, ``--tls-key`` and ``--tls-ca``: read, and tried before they count.

A member whose certificate is no good would be alone, and only the logs of the others would say
why. So the two contexts shake hands with each other first, in memory: what they find wrong is
what every peer would find.
"""

from __future__ import annotations

import logging
import os
import ssl
import stat
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

import attrs

from trio_gossip.cli.problems import BadInputError, describe_os_error, in_one_line, visible

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

PEM_BYTES_MAX: Final = 1_048_576
"""Longest file of certificates or keys that is read; a longer one is refused."""

_FLIGHTS: Final = 8
"""Turns of a handshake in memory; TLS 1.3 takes two or three."""

logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class CertificateFiles:
    """Three paths, as the options gave them."""

    certificate: str
    key: str
    ca: str


@attrs.frozen(kw_only=True)
class Certificates:
    """What was made of the files.

    Attributes:
        server: the context for accepting.
        client: the context for dialling.
        names: whom the certificate names.
        until: when it expires.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    names: tuple[str, ...]
    until: datetime


def load_certificates(files: CertificateFiles, name: str) -> Certificates:
    """Read the files of a member and see that peers will take them.

    Args:
        files: where they are.
        name: of the member, which the certificate must have.

    Raises:
        BadInputError: a file cannot be read, is not what it should be, does not go with the
            others, or has expired; one line with the option and the file.
    """
    from trio_gossip_transports import tls_contexts

    chain = _read_certificates("--tls-cert", files.certificate)
    _read_certificates("--tls-ca", files.ca)
    _check_key(files, chain[0])
    try:
        server, client = tls_contexts(files.certificate, files.key, files.ca)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or in_one_line(str(error))
        _refuse("--tls-cert", files.certificate, f"it cannot be used: {reason}")
    names = _rehearse(files, server, client)
    if name not in names:
        told = " and ".join(repr(each) for each in names[:3]) or "nobody"
        _refuse("--tls-cert", files.certificate, f"it names {told}, and not {name!r}")
    until = chain[0].not_valid_after_utc
    return Certificates(server=server, client=client, names=names, until=until)


def _read_certificates(option: str, path: str) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    data = _read(option, path)
    try:
        return load_pem_x509_certificates(data)
    except ValueError:  # also when there is none
        _refuse(option, path, "there is no certificate in PEM format in it")


def _check_key(files: CertificateFiles, certificate: Certificate) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    option, path = "--tls-key", files.key
    data = _read(option, path, secret=True)
    try:
        key = load_pem_private_key(data, None)
    except TypeError:
        _refuse(option, path, "it has a password; remove that and protect the file")
    except (ValueError, UnsupportedAlgorithm):
        _refuse(option, path, "there is no private key in PEM format in it")
    if key.public_key() != certificate.public_key():
        _refuse(option, path, f"it is not the key of the certificate in {files.certificate}")


def _read(option: str, path: str, *, secret: bool = False) -> bytes:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                _refuse(option, path, "it is not a plain file")
            data = file.read(PEM_BYTES_MAX + 1)
    except OSError as error:
        _refuse(option, path, describe_os_error(error))
    except ValueError as error:  # a zero byte
        _refuse(option, path, str(error))
    if len(data) > PEM_BYTES_MAX:
        _refuse(option, path, f"it is longer than {PEM_BYTES_MAX} bytes")
    if secret and mode & stat.S_IRWXO:
        # Not refused, as a keyring is: many hand out secrets in files that are protected by
        # what they are mounted in.
        logger.warning("%s %s: every user can get at this private key", option, visible(path))
    return data


def _open_at_once(path: str, flags: int) -> int:
    """Opening a pipe that nobody writes to must not wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _rehearse(
    files: CertificateFiles, server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[str, ...]:
    """Shake hands with ourselves; returns the names that a peer sees."""
    from trio_gossip_transports.tls_faults import TLSFault, handshake_error
    from trio_gossip_transports.tls_stream import names_of

    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    words = {
        TLSFault.EXPIRED: f"it has expired, or that of its CA; here it is {now}",
        TLSFault.NOT_YET_VALID: f"it is not valid yet; here it is {now}",
        TLSFault.UNTRUSTED: f"no CA in {files.ca} has signed it",
    }
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    try:
        for _ in range(_FLIGHTS):
            for end in ends:
                _advance(end)
    except ssl.SSLError as error:
        found = handshake_error(error)
        told = words.get(found.fault, f"peers would say that this member {found}")
        _refuse("--tls-cert", files.certificate, told)
    return names_of(ends[0].getpeercert())


def _advance(end: ssl.SSLObject) -> None:
    with suppress(ssl.SSLWantReadError):  # it is the other one's turn
        end.do_handshake()


def _refuse(option: str, path: str, why: str) -> NoReturn:
    raise BadInputError(f"{option} {path}: {why}")
