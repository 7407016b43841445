"""The commands and their options. Every mistake in them ends in one line and exit code 2."""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final, NoReturn

import click
import trio

from trio_gossip.addresses import Address, parse_address
from trio_gossip.cli.problems import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    BadInputError,
    describe_os_error,
    in_one_line,
)
from trio_gossip.cli.simulate import simulate
from trio_gossip.errors import ConfigError

PROFILE_NAMES: Final = ("lan", "wan", "local")
_LEVELS: Final = ("debug", "info", "warning", "error")
_EVERYBODY: Final = ipaddress.IPv4Address("255.255.255.255")
_CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _InterruptedError(Exception):
    """Ctrl-C, hidden from click, which would print an empty line for it."""


class _OneLineGroup(click.Group):
    """A group whose errors are one line each, also those that are not click's."""

    def main(  # type: ignore[override]  # click's overloads allow a return; this never does
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run and exit; see :meth:`click.Command.main`.

        Raises:
            SystemExit: it ran or could not; mistakes were told in one line.
            KeyboardInterrupt: Ctrl-C where nothing watched for signals.
        """
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name or "trio-gossip", **extra)
        except click.ClickException as error:
            code = _complain(error.format_message(), error.exit_code)
        except (BadInputError, ConfigError) as error:
            code = _complain(str(error), EXIT_BAD_INPUT)
        except (click.Abort, _InterruptedError):  # the end of it is in one place
            raise KeyboardInterrupt from None
        except BrokenPipeError:
            code = EXIT_FAILED
        except OSError as error:
            code = _complain(describe_os_error(error), EXIT_FAILED)
        except trio.BrokenResourceError as error:
            code = _complain(f"the network is gone: {error}", EXIT_FAILED)
        sys.exit(code or 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was chosen; see :meth:`click.Group.invoke`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError from None


def _complain(message: str, code: int) -> int:
    click.echo(f"trio-gossip: {in_one_line(message)}", err=True)
    return code


def _parse(value: str) -> Address:
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


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bound(_: click.Context, __: click.Parameter, value: str) -> Address:
    """``--bind``: any address of one host, also a wildcard and port 0."""
    return _parse(value)


def _dialled(_: click.Context, __: click.Parameter, value: str) -> str:
    """``--advertise`` and ``--join``: an address that others can reach, kept as it was written."""
    address = _parse(value)
    if address.port == 0 or address.is_wildcard:
        raise click.BadParameter(f"nobody can be reached at {value!r}")
    return value


def _all_dialled(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(_dialled(ctx, parameter, value) for value in values)


def _advertised(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return value if value is None else _dialled(ctx, parameter, value)


def _version_option(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        try:
            version = metadata.version("trio-gossip")
        except metadata.PackageNotFoundError:
            version = "(not installed, run from its source)"
        click.echo(f"trio-gossip {version}")
        ctx.exit()


@click.group(cls=_OneLineGroup, invoke_without_command=True, context_settings=_CONTEXT)
@click.option(
    "--log-level",
    type=click.Choice(_LEVELS),
    default="warning",
    show_default=True,
    help="Least severe log lines to print on standard error.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version_option,
    help="Print the version and exit.",
)
@click.pass_context
def commands(ctx: click.Context, log_level: str) -> None:
    """Membership for a cluster of processes: who is here, who has died, and messages to all.

    Watch it work with "trio-gossip demo".
    """
    ctx.obj = log_level
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_profile_option = click.option(
    "--profile",
    type=click.Choice(PROFILE_NAMES),
    default="lan",
    show_default=True,
    help="Timing: how fast to probe and how long to wait before a death is declared.",
)


@commands.command()
@click.option("--name", required=True, help="Name of this member, unique in the cluster.")
@click.option(
    "--bind",
    metavar="HOST:PORT",
    callback=_bound,
    required=True,
    help="Where to listen, UDP and TCP. Port 0 lets the system choose.",
)
@click.option(
    "--join",
    "seeds",
    metavar="HOST:PORT",
    callback=_all_dialled,
    multiple=True,
    help="A member to join through; may be given several times.",
)
@_profile_option
@click.option("--meta", default="", metavar="TEXT", help="Told to every member, up to 512 bytes.")
@click.option(
    "--advertise",
    callback=_advertised,
    metavar="HOST[:PORT]",
    help="Address to tell others where it is not the bound one (NAT).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--leave-at-eof",
    is_flag=True,
    help="Leave when standard input ends: for agents that another program has started.",
)
@click.pass_obj
def agent(
    log_level: str,
    *,
    name: str,
    bind: Address,
    seeds: tuple[str, ...],
    profile: str,
    meta: str,
    advertise: str | None,
    as_json: bool,
    leave_at_eof: bool,
) -> int:
    """Be a member of a cluster and print a line for every event.

    Lines on standard input are broadcast to all other members. SIGINT (Ctrl-C), SIGTERM and
    SIGHUP say goodbye to the others and exit with 0; a second signal stops at once and exits
    with 1.
    """
    # Lazily: `trio-gossip --help` and bad options need none of it.
    from trio_gossip.cli.agent import PROFILES, AgentSettings, run_agent

    settings = AgentSettings(
        config=PROFILES[profile](name=name, meta=meta.encode(errors="surrogateescape")),
        profile=profile,
        bind=bind,
        advertise=advertise,
        seeds=seeds,
        json=as_json,
        leave_at_eof=leave_at_eof,
    )
    _log_to_stderr(log_level)
    return trio.run(run_agent, settings)


@commands.command()
@click.option(
    "--nodes",
    type=click.IntRange(3, 32),
    default=3,
    show_default=True,
    help="How many agents to start.",
)
@_profile_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a step.")
@click.pass_obj
def demo(log_level: str, *, nodes: int, profile: str, as_json: bool) -> int:
    """Watch a cluster form, lose a member, take it back, and let one go.

    Starts real agents as processes of their own on this machine. Exits with 0 only if every step
    was really observed in their output.
    """
    # Lazily: it needs rich, which the agent does not.
    from trio_gossip.cli.demo import run_demo

    _log_to_stderr(log_level)
    return trio.run(run_demo, nodes, profile, as_json)


commands.add_command(simulate)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
