"""Commands that ask a running agent through its control socket."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import click

from trio_gossip.cli.problems import EXIT_DONE, EXIT_FAILED, BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trio_gossip.cli.control_client import Answer

_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")

_control_option = click.option(
    "--control",
    metavar="PATH",
    required=True,
    help="The control socket of an agent on this machine.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@_control_option
@_json_option
def members(*, control: str, as_json: bool) -> int:
    """List the members that an agent knows, also failed and left ones."""
    from trio_gossip.cli.control_text import member_lines, member_records

    answer = _ask(control, "members")
    records = _read(control, member_records, answer)
    _print({"members": records} if as_json else member_lines(records))
    return _end(answer)


@click.command()
@_control_option
@_json_option
def info(*, control: str, as_json: bool) -> int:
    """Show who an agent is, how it is, and all that it counts."""
    from trio_gossip.cli.control_text import info_lines
    from trio_gossip.cli.control_wire import tree_from

    answer = _ask(control, "info")
    tree = _read(control, tree_from, answer)
    _print(tree if as_json else info_lines(tree))
    return _end(answer)


@click.command()
@_control_option
@_json_option
def leave(*, control: str, as_json: bool) -> int:
    """Have an agent say goodbye to the others and end."""
    answer = _ask(control, "leave")
    acked = _read(control, _value, answer)
    _print({"acked": acked} if as_json else [f"goodbye acknowledged by {acked} of the others"])
    return _end(answer)


@click.command()
@_control_option
@_json_option
def reload(*, control: str, as_json: bool) -> int:
    """Have an agent read its certificates again, without a restart.

    Handshakes from then on use the new ones. Files that are wrong change nothing. Keys are
    changed with "keys" instead.
    """
    answer = _ask(control, "reload")
    until = _read(control, _value, answer)
    _print({"until": until} if as_json else [f"certificates reloaded; good until {until}"])
    return _end(answer)


@click.group()
def keys() -> None:
    """Look at the keys of a whole cluster, and change them while it runs.

    A rotation is "install" of a new key, then "use" of it, then "remove" of the old one. Each
    step is done by all members that are here, or refused with nothing changed.
    """


@keys.command("list")
@_control_option
@_json_option
def list_keys(*, control: str, as_json: bool) -> int:
    """Show which keys each member has. The first one is the one it seals with."""
    return _keys(control, as_json, "list")


@keys.command()
@_control_option
@_json_option
@click.argument("file")
def install(*, control: str, as_json: bool, file: str) -> int:
    """Give a new key to every member: the one in FILE, or on standard input if FILE is "-".

    The key itself is never an argument, since every user of this machine can read those.
    """
    from trio_gossip.cli.keygen import read_key

    return _keys(control, as_json, "install", read_key(file).secret)


@keys.command()
@_control_option
@_json_option
@click.argument("key_id", metavar="ID")
def use(*, control: str, as_json: bool, key_id: str) -> int:
    """Have every member seal with the key of this ID from now on."""
    return _keys(control, as_json, "use", _key_id(key_id))


@keys.command()
@_control_option
@_json_option
@click.option(
    "--leaked",
    is_flag=True,
    help="Others have the key: members that are away are not brought up with it.",
)
@click.argument("key_id", metavar="ID")
def remove(*, control: str, as_json: bool, leaked: bool, key_id: str) -> int:
    """Take the key of this ID away from every member."""
    return _keys(control, as_json, "remove", _key_id(key_id), leaked)


def _keys(control: str, as_json: bool, operation: str, *arguments: Any) -> int:
    from trio_gossip.cli.control_text import key_lines, key_records

    answer = _ask(control, "keys", operation, *arguments)
    records = _read(control, key_records, answer)
    if as_json:
        _print({"operation": operation, "error": answer.error, "members": records})
    elif records:
        _print(key_lines(records))
    failed = not all(record["ok"] for record in records)
    return _end(answer) or (EXIT_FAILED if failed else EXIT_DONE)


def _key_id(text: str) -> str:
    if not _KEY_ID.fullmatch(text.lower()):
        # Not repeated: it may be a key, and this line may go to a log.
        raise BadInputError("that is no id of a key, eight hexadecimal digits; see: keys list")
    return text.lower()


def _ask(control: str, *request: Any) -> Answer:
    # Lazily: `trio-gossip --help` and bad options need none of it.
    from trio_gossip.cli.control_client import ask

    return ask(control, *request)


def _read(control: str, reader: Callable[[Any], Any], answer: Answer) -> Any:
    from trio_gossip.cli.control_wire import ControlWireError

    if answer.error is not None and not answer.rows:
        raise click.ClickException(answer.error)
    try:
        return reader(answer.rows)
    except ControlWireError as error:
        told = f"the agent's answer makes no sense: {error}"
        raise BadInputError(f"--control {control}: {told}") from error


def _value(rows: tuple[Any, ...]) -> Any:
    """The value of an answer that is one row: what it is, and the value."""
    from trio_gossip.cli.control_wire import ControlWireError

    match rows:
        case ([str(), value],):
            return value
        case _:
            raise ControlWireError("not one row")


def _print(shown: dict[str, Any] | Iterable[str]) -> None:
    if isinstance(shown, dict):
        click.echo(json.dumps(shown))
    else:
        for line in shown:
            click.echo(line)


def _end(answer: Answer) -> int:
    """The exit code; an error that came with rows is told after them."""
    if answer.error is not None:
        raise click.ClickException(answer.error)
    return EXIT_DONE
