"""Certificates in files, of every kind that a test needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme

from trio_gossip.cli.certificates import CertificateFiles

CA = trustme.CA()
OTHER_CA = trustme.CA()


def days(number: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=number)


@cache
def issued(*names: str, ca: trustme.CA = CA, first: int = -1, last: int = 9) -> trustme.LeafCert:
    """A certificate for names, valid between two days counted from today."""
    return ca.issue_cert(*names, not_before=days(first), not_after=days(last))


def write_member(
    folder: Path, *names: str, leaf: trustme.LeafCert | None = None, ca: trustme.CA = CA
) -> CertificateFiles:
    """The three files of a member; overwrites those of the same first name."""
    leaf = leaf or issued(*names)
    files = [folder / f"{names[0]}.{kind}" for kind in ("pem", "key", "ca")]
    files[0].write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    files[1].write_bytes(leaf.private_key_pem.bytes())
    files[1].chmod(0o600)
    files[2].write_bytes(ca.cert_pem.bytes())
    certificate, key, authority = map(str, files)
    return CertificateFiles(certificate=certificate, key=key, ca=authority)
