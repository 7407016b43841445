"""What can be wrong with a peer in a TLS handshake, in words: :class:`TLSFault`."""

from __future__ import annotations

import ssl
from enum import StrEnum
from typing import Final

from trio_gossip.failures import DialFailure


class TLSFault(StrEnum):
    """Why a handshake came to nothing. The value names the counter."""

    PLAIN = "plain"
    VERSION = "version"
    NO_CERTIFICATE = "no_certificate"
    UNTRUSTED = "untrusted"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    INVALID = "invalid"
    NO_NAME = "no_name"
    WRONG_NAME = "wrong_name"
    REFUSED_MISSING = "refused_missing"
    REFUSED_UNTRUSTED = "refused_untrusted"
    REFUSED_EXPIRED = "refused_expired"
    REFUSED_NO_NAME = "refused_no_name"
    REFUSED = "refused"
    CLOSED = "closed"
    BROKEN = "broken"
    TIMED_OUT = "timed_out"
    CROWDED_OUT = "crowded_out"
    PACKETS_DIFFER = "packets_differ"
    OTHER = "other"

    @property
    def text(self) -> str:
        """A few words that follow the name of the peer."""
        return _TEXTS[self]


_TEXTS: Final = {
    TLSFault.PLAIN: "does not speak TLS",
    TLSFault.VERSION: "does not speak TLS 1.3",
    TLSFault.NO_CERTIFICATE: "shows no certificate",
    TLSFault.UNTRUSTED: "shows a certificate that our CA has not signed",
    TLSFault.EXPIRED: "shows a certificate that has expired",
    TLSFault.NOT_YET_VALID: "shows a certificate that is not valid yet",
    TLSFault.INVALID: "shows a certificate that is not valid",
    TLSFault.NO_NAME: "shows a certificate that names nobody",
    TLSFault.WRONG_NAME: "shows the certificate of another member",
    TLSFault.REFUSED_MISSING: "wants a certificate, and we have none",
    TLSFault.REFUSED_UNTRUSTED: "refuses our certificate: its CA has not signed it",
    TLSFault.REFUSED_EXPIRED: "refuses our certificate: it has expired",
    TLSFault.REFUSED_NO_NAME: "refuses our certificate: it names nobody",
    TLSFault.REFUSED: "refuses our certificate",
    TLSFault.CLOSED: "closed the connection during the TLS handshake",
    TLSFault.BROKEN: "broke the connection during the TLS handshake",
    TLSFault.TIMED_OUT: "did not finish the TLS handshake in time",
    TLSFault.CROWDED_OUT: "was too slow in the TLS handshake while many others waited",
    TLSFault.PACKETS_DIFFER: "carries packets in another way (datagrams or streams)",
    TLSFault.OTHER: "failed in the TLS handshake",
}

_BY_VERIFY_CODE: Final = {
    9: TLSFault.NOT_YET_VALID,
    10: TLSFault.EXPIRED,
    18: TLSFault.UNTRUSTED,  # signed by itself
    19: TLSFault.UNTRUSTED,  # signed by itself, further up
    20: TLSFault.UNTRUSTED,  # no such issuer here
    21: TLSFault.UNTRUSTED,  # the same, with a chain of one
}
"""By the codes of X509_verify_cert; every other one is ``INVALID``."""

_BY_REASON: Final = {
    "HTTP_REQUEST": TLSFault.PLAIN,
    "INVALID_ALERT": TLSFault.PLAIN,
    "RECORD_LAYER_FAILURE": TLSFault.PLAIN,
    "UNEXPECTED_MESSAGE": TLSFault.PLAIN,
    "UNEXPECTED_RECORD": TLSFault.PLAIN,
    "WRONG_VERSION_NUMBER": TLSFault.PLAIN,
    "NO_PROTOCOLS_AVAILABLE": TLSFault.VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": TLSFault.VERSION,
    "UNSUPPORTED_PROTOCOL": TLSFault.VERSION,
    "WRONG_SSL_VERSION": TLSFault.VERSION,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": TLSFault.NO_CERTIFICATE,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": TLSFault.REFUSED_MISSING,
    "TLSV1_ALERT_UNKNOWN_CA": TLSFault.REFUSED_UNTRUSTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": TLSFault.REFUSED_EXPIRED,
    "SSLV3_ALERT_BAD_CERTIFICATE": TLSFault.REFUSED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": TLSFault.REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": TLSFault.REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": TLSFault.REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": TLSFault.REFUSED,
}
"""By the reasons of OpenSSL. Those with ALERT in them are the word of the peer."""


class HandshakeError(Exception):
    """A handshake came to nothing; ``fault`` says why, ``str`` in words that follow the peer.

    State: the stream below is closed.
    """

    def __init__(self, fault: TLSFault, detail: str = "") -> None:
        super().__init__(f"{fault.text}: {detail}" if detail else fault.text)
        self.fault = fault

    @property
    def failure(self) -> DialFailure:
        """What it means for a dial. A broken connection may just be a host that went down."""
        return DialFailure.RESET if self.fault is TLSFault.BROKEN else DialFailure.HANDSHAKE


def handshake_error(error: BaseException) -> HandshakeError:
    """Find out what a broken stream tells of the peer.

    Args:
        error: what the stream raised; its cause is OpenSSL's error, if there is one.
    """
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        fault = _BY_VERIFY_CODE.get(cause.verify_code, TLSFault.INVALID)
        return HandshakeError(fault, "" if fault is not TLSFault.INVALID else cause.verify_message)
    if isinstance(cause, ssl.SSLEOFError):
        return HandshakeError(TLSFault.CLOSED)
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or ""
        fault = _BY_REASON.get(reason, TLSFault.OTHER)
        return HandshakeError(fault, "" if fault is not TLSFault.OTHER else reason)
    return HandshakeError(TLSFault.BROKEN)
