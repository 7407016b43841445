"""Before an agent is a member: its transport is opened, and the names of hosts are looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from trio_gossip.addresses import Address, parse_address
from trio_gossip.cli.problems import BadInputError, describe_os_error
from trio_gossip.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.config import Config
    from trio_gossip.transport import Transport


async def listen(bind: Address) -> Transport:
    """Open the sockets.

    Raises:
        BadInputError: the address is not ours, in use, or none.
    """
    # Lazily: the library must not depend on a transport, and only the command line may use one.
    from trio_gossip_transports import open_socket_transport

    try:
        return await open_socket_transport(bind.host, bind.port)
    except OSError as error:  # its text names the address
        raise BadInputError(describe_os_error(error)) from error
    except ValueError as error:
        raise BadInputError(f"cannot bind {bind}: it is no host name") from error


async def look_up(
    config: Config, transport: Transport, *, seeds: Sequence[str], advertise: str | None
) -> Config:
    """Check that every host is known, at once; returns the config to run with.

    Raises:
        BadInputError: a host is unknown. A seed that is known and does not answer is no error.
    """
    unknown: list[BadInputError] = []
    advertised: list[Address] = []

    async def resolve(option: str, address: Address) -> None:
        try:
            found = await transport.resolve(address)
        except OSError as error:
            reason = describe_os_error(error)
            unknown.append(BadInputError(f"{option} {address}: unknown host ({reason})"))
        except ValueError:  # from the codec of host names: a label that is too long
            unknown.append(BadInputError(f"{option} {address}: it is no host name"))
        else:
            if option == "--advertise":
                advertised.append(found[0])

    async with trio.open_nursery() as nursery:
        for seed in seeds:
            nursery.start_soon(resolve, "--join", parse_address(seed))
        if advertise is not None:
            port = transport.local_address.port
            address = parse_address(advertise, default_port=port)
            nursery.start_soon(resolve, "--advertise", address)
    if unknown:
        raise unknown[0]  # one line is enough; the next run names the next one
    if not advertised:
        return config
    try:
        return attrs.evolve(config, advertise=advertised[0])
    except ConfigError as error:
        raise BadInputError(str(error)) from error
