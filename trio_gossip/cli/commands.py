"""The commands and their options. Every mistake in them ends in one line and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final, NoReturn

import click
import trio

from trio_gossip.cli.agent_command import agent, log_to_stderr, profile_option
from trio_gossip.cli.control_commands import info, keys, leave, members, reload
from trio_gossip.cli.keygen import keygen
from trio_gossip.cli.problems import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    BadInputError,
    describe_os_error,
    in_one_line,
)
from trio_gossip.cli.simulate import simulate
from trio_gossip.errors import ConfigError

_LEVELS: Final = ("debug", "info", "warning", "error")
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


@commands.command()
@click.option(
    "--nodes",
    type=click.IntRange(3, 32),
    default=3,
    show_default=True,
    help="How many agents to start.",
)
@profile_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a step.")
@click.pass_obj
def demo(log_level: str, *, nodes: int, profile: str, as_json: bool) -> int:
    """Watch a cluster form, lose a member, take it back, and let one go.

    Starts real agents as processes of their own on this machine. Exits with 0 only if every step
    was really observed in their output.
    """
    # Lazily: it needs rich, which the agent does not.
    from trio_gossip.cli.demo import run_demo

    log_to_stderr(log_level)
    return trio.run(run_demo, nodes, profile, as_json)


for _command in (agent, keygen, simulate, members, info, leave, reload, keys):
    commands.add_command(_command)
