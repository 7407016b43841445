"""What the options of ``agent`` say about keys and certificates, and the transport made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from trio_gossip.cli.certificates import CertificateFiles, Certificates, load_certificates
from trio_gossip.cli.problems import BadInputError, describe_os_error

if TYPE_CHECKING:
    from trio_gossip.transport import Transport
    from trio_gossip_transports import EncryptedTransport, Keyring, TLSTransport


@attrs.frozen(kw_only=True)
class SecuritySettings:
    """What the options said.

    Attributes:
        keyring: path of the key file; None for packets and streams in plain.
        label: separates clusters that share a key.
        accept_plain: take what is not sealed as well.
        send_plain: send without sealing.
        tls: files of certificates; None for streams without TLS.
        tls_packets: packets travel over TLS connections too, and not over UDP.
    """

    keyring: str | None = None
    label: bytes = b""
    accept_plain: bool = False
    send_plain: bool = False
    tls: CertificateFiles | None = None
    tls_packets: bool = False


class Security:
    """Keys and certificates of one agent, loaded. They lie below its transport.

    Args:
        settings: what the options said.
        name: of the member; its certificate must have it.

    Raises:
        BadInputError: a file is missing, wrong, or open to others.
    """

    def __init__(self, settings: SecuritySettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._keyring = _load_keyring(settings.keyring)
        self._certificates = self._load_certificates()
        self._tls: TLSTransport | None = None
        self._sealed: EncryptedTransport | None = None

    def wrap(self, transport: Transport) -> Transport:
        """Put the layers over a transport that is open: TLS for streams, and sealing above it.

        Returns:
            The outermost one; closing it closes all.
        """
        if self._certificates is not None:
            transport = self._tls = _under_tls(
                transport, self._certificates, packets=self._settings.tls_packets
            )
        if self._keyring is not None:
            transport = self._sealed = _sealed(transport, self._keyring, self._settings)
        return transport

    @property
    def keyring(self) -> Keyring | None:
        """The keys; None in plain."""
        return self._keyring

    def load_again(self) -> Certificates:
        """Read the certificates anew, without using them yet. Blocks for some milliseconds.

        Raises:
            BadInputError: there are none, or the new ones are wrong; the old ones stay.
        """
        found = self._load_certificates()
        if found is None:
            raise BadInputError("this agent was started without --tls-cert: nothing to reload")
        return found

    def use(self, certificates: Certificates) -> None:
        """Use other certificates for handshakes from now on; streams stay."""
        assert self._tls is not None
        self._tls.reload(certificates.server, certificates.client)
        self._certificates = certificates

    def describe(self) -> dict[str, Any]:
        """What is on, for people: ids of keys and names, nothing secret."""
        told: dict[str, Any] = {"sealed": self._sealed is not None, "tls": self._tls is not None}
        if self._keyring is not None and self._sealed is not None:
            told["keys"] = [key.fingerprint for key in self._keyring.list()]
            told["label"] = self._settings.label.decode(errors="backslashreplace")
            told["accept_plain"] = self._sealed.accept_plain
            told["send_plain"] = self._sealed.send_plain
        if self._certificates is not None:
            told["tls_packets"] = self._settings.tls_packets
            told["certificate_names"] = list(self._certificates.names)
            told["certificate_until"] = self._certificates.until.isoformat()
        return told

    def _load_certificates(self) -> Certificates | None:
        files = self._settings.tls
        return None if files is None else load_certificates(files, self._name)


def _under_tls(transport: Transport, certificates: Certificates, *, packets: bool) -> TLSTransport:
    # Lazily, here and below: the library must not depend on a transport, and only the command
    # line may.
    from trio_gossip_transports import TLSTransport

    return TLSTransport(
        transport,
        certificates.server,
        certificates.client,
        packets="streams" if packets else "datagrams",
    )


def _sealed(
    transport: Transport, keyring: Keyring, settings: SecuritySettings
) -> EncryptedTransport:
    from trio_gossip_transports import EncryptedTransport

    return EncryptedTransport(
        transport,
        keyring,
        settings.label,
        accept_plain=settings.accept_plain,
        send_plain=settings.send_plain,
    )


def _load_keyring(path: str | None) -> Keyring | None:
    if path is None:
        return None
    from trio_gossip_transports import Keyring, KeyringError

    try:
        # What is changed in the cluster must be in the file at the next start.
        return Keyring.load(path, autosave=True)
    except KeyringError as error:  # its text names the file
        raise BadInputError(f"--keyring {error}") from error
    except OSError as error:
        raise BadInputError(f"--keyring {path}: {describe_os_error(error)}") from error
