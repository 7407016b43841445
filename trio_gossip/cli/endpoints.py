"""Addresses as options: read, and refused where they cannot be meant."""

from __future__ import annotations

import ipaddress
from typing import Final

import click

from trio_gossip.addresses import Address, parse_address

_EVERYBODY: Final = ipaddress.IPv4Address("255.255.255.255")


def parse(value: str) -> Address:
    """Read an address that can be read in one way only.

    Raises:
        click.BadParameter: it is none, or it stands for many hosts.
    """
    try:
        address = parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    host, _, port = value.rpartition(":")
    if port.isdecimal() and _ip_address(host) is not None and ":" in host:
        # "::1:7000" is a whole IPv6 address, and hardly ever the one that was meant.
        raise click.BadParameter(
            f"{value!r} may be read with a port or without one;"
            f" write [{host}]:{port} or [{value}]:{address.port}"
        )
    found = _ip_address(address.host)
    if found is not None and (found.is_multicast or found == _EVERYBODY):
        raise click.BadParameter(f"{address.host} stands for many hosts and not for one")
    return address


def bound(_: click.Context, __: click.Parameter, value: str) -> Address:
    """``--bind``: any address of one host, also a wildcard and port 0."""
    return parse(value)


def dialled(_: click.Context, __: click.Parameter, value: str) -> str:
    """``--advertise`` and ``--join``: an address that others can reach, kept as it was written."""
    address = parse(value)
    if address.port == 0 or address.is_wildcard:
        raise click.BadParameter(f"nobody can be reached at {value!r}")
    return value


def all_dialled(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """``--join``, which may be given several times."""
    return tuple(dialled(ctx, parameter, value) for value in values)


def advertised(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """``--advertise``, which need not be given."""
    return value if value is None else dialled(ctx, parameter, value)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
