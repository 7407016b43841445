"""Says once, at the start, when a cluster listens where strangers can reach it, in the clear."""

from __future__ import annotations

import ipaddress
import logging
from typing import TYPE_CHECKING

from trio_gossip.addresses import canonical_host

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.transport import Transport

logger = logging.getLogger(__name__)


def warn_if_open(transport: Transport) -> None:
    """Log one warning if others can reach the transport and nothing protects it.

    Private networks are no exception: who shares an office, a cloud or a coffee house with this
    host can send to it. Only loopback is.
    """
    if transport.is_protected or not _is_reachable(transport.local_address):
        return
    logger.warning(
        "listening on %s without encryption: whoever can send to it can read, invent and remove"
        " members. Wrap the transport in an EncryptedTransport, or in a TLSTransport with"
        ' packets="streams", unless a firewall keeps strangers out',
        transport.local_address,
    )


def _is_reachable(address: Address) -> bool:
    """Whether other hosts can send to it. Names are no addresses of the real network."""
    try:
        host = ipaddress.ip_address(canonical_host(address.host.partition("%")[0]))
    except ValueError:
        return False
    return not host.is_loopback
