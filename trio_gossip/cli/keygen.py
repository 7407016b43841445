"""``trio-gossip keygen``, and keys as the command line reads them: never out of an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trio_gossip.cli.problems import BadInputError, describe_os_error, visible

if TYPE_CHECKING:
    from trio_gossip_transports import Key

STANDARD_INPUT: Final = "-"
"""Stands for standard input where a file of keys is named."""

INPUT_BYTES_MAX: Final = 16_384
"""Most that is read of standard input where a key is expected; more is refused."""

_BITS: Final = ("128", "192", "256")


@click.command()
@click.option(
    "--bits",
    type=click.Choice(_BITS),
    default="256",
    show_default=True,
    help="Of AES; all are safe.",
)
@click.option("--out", metavar="FILE", help="Write a new keyring file of mode 0600 instead.")
def keygen(*, bits: str, out: str | None) -> None:
    """Make a key from the operating system's generator and print it in base64.

    With --out it is written to a keyring file for "agent --keyring", and its id is printed. A
    file that is there already is left as it is.
    """
    from trio_gossip_transports import Key

    key = Key.generate(int(bits) // 8)
    if out is None:
        click.echo(key.text)
        return
    try:
        _write_new(out, key)
    except (OSError, ValueError) as error:
        told = describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise BadInputError(f"--out {out}: {told}") from error
    click.echo(f"key {key.fingerprint} is in {visible(out)}")


def _write_new(path: str, key: Key) -> None:
    """Write a keyring file where there is none.

    Raises:
        OSError: there is something, or it cannot be written; nothing new is left there.
    """
    # Exclusive: neither a file nor what a link leads to is ever overwritten.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            os.fchmod(descriptor, 0o600)  # the umask may have taken our own rights away
            file.write(f"# trio-gossip keyring: the first key seals, all open\n{key.text}\n")
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise


def read_key(source: str) -> Key:
    """Read the one key of a file that is its owner's alone, or of standard input (``-``).

    Raises:
        BadInputError: it cannot be read, others can read it, or it holds no key or several.
    """
    from trio_gossip_transports.key_file import read_keys

    shown = "standard input" if source == STANDARD_INPUT else visible(source)
    try:
        keys = _read_input() if source == STANDARD_INPUT else read_keys(source)
    except ValueError as error:
        raise BadInputError(f"{shown}: {error}") from error
    except OSError as error:
        raise BadInputError(f"{shown}: {describe_os_error(error)}") from error
    if len(keys) != 1:
        raise BadInputError(f"{shown}: it has {len(keys)} keys, and one is wanted")
    return keys[0]


def _read_input() -> list[Key]:
    """The keys on standard input, one on each line, with ``#`` before comments."""
    from trio_gossip_transports import Key

    # Beyond a terminal's echo nobody sees it; an argument stands in the table of processes.
    data = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1) if sys.stdin is not None else b""
    if len(data) > INPUT_BYTES_MAX:
        raise ValueError(f"longer than {INPUT_BYTES_MAX} bytes")
    lines = data.decode("ascii", errors="replace").splitlines()
    texts = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not texts:
        raise ValueError("no key in it")
    return [Key.parse(text) for text in texts]
