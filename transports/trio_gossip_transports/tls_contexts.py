"""The two TLS contexts of a member: made from files, and checked for what they must demand."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike


def tls_contexts(
    certificate: str | PathLike[str],
    key: str | PathLike[str],
    ca: str | PathLike[str],
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make the contexts of a member from its files: TLS 1.3, both sides show a certificate.

    Only the given CA is trusted, none of the operating system.

    Args:
        certificate: PEM file with the certificate of this member and those between it and the CA.
        key: PEM file with its private key, without a password.
        ca: PEM file with the certificate of the CA, or of several during a change of CA.

    Returns:
        The context for accepting and the one for dialling.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: a file is not what it should be, or the key is not that of the certificate.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # names are those of members, and the transport checks them
    server.num_tickets = 0
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key, _no_password)
        context.load_verify_locations(ca)
    return server, client


def _no_password() -> str:
    """Without this, OpenSSL would ask at the terminal and stop the whole process."""
    raise ssl.SSLError("the private key has a password")


def check_contexts(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Refuse contexts that would let in more than they should.

    Raises:
        ValueError: the text says which context lacks what.
    """
    for context, which in ((server, "server"), (client, "client")):
        if context.verify_mode != ssl.CERT_REQUIRED:
            raise ValueError(f"the {which} context must have verify_mode CERT_REQUIRED")
        if context.minimum_version != ssl.TLSVersion.TLSv1_3:
            raise ValueError(f"the {which} context must have minimum_version TLSv1_3")
    if server.protocol != ssl.PROTOCOL_TLS_SERVER:
        raise ValueError("the server context must be of PROTOCOL_TLS_SERVER")
    if client.protocol != ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError("the client context must be of PROTOCOL_TLS_CLIENT")
    if server.num_tickets:
        # A session taken up again would not look at the certificate any more.
        raise ValueError("the server context must have num_tickets 0")
    if client.check_hostname:
        raise ValueError(
            "the client context must have check_hostname False: the transport checks the names "
            "of members, which are no host names"
        )
