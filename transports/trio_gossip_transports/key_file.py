"""Key files: one base64 key on each line, the primary first, readable by their owner only.

A removed key stands in it for its grace, as ``retired <Unix seconds of its end> <base64>``, and the
id of a former primary key for longer, as ``former <id>``.
"""

from __future__ import annotations

import math
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from trio_gossip_transports.keys import Key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

FILE_BYTES_MAX: Final = 16_384
"""Longest key file that is read: eight keys and many comments."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_RETIRED: Final = "retired"
_FORMER: Final = "former"
_ID: Final = re.compile(r"[0-9a-f]{8}")


class KeyFile(NamedTuple):
    """What a key file says.

    Attributes:
        keys: the primary first.
        retired: removed keys, each with the Unix seconds until which it is remembered.
        former: ids of keys that were the primary once, the last one at the end.
    """

    keys: list[Key]
    retired: list[tuple[Key, float]]
    former: list[bytes]


def read_keys(path: str | PathLike[str]) -> list[Key]:
    """The keys of :func:`read_key_file` that have not been removed."""
    return read_key_file(path).keys


def read_key_file(path: str | PathLike[str]) -> KeyFile:
    """Read the keys of a file. Empty lines and those that begin with ``#`` do not count.

    Raises:
        ValueError: other users may read or write the file, it belongs to one that is neither us
            nor root, it is not a file, too long, or a line is no key. The message is one line and
            holds nothing of the file.
        OSError: it cannot be read.
    """
    # The permissions of what is open, not of what the path names a moment later.
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a plain file")
        if status.st_uid not in (os.geteuid(), 0):
            raise ValueError("it belongs to another user")
        if stat.S_IMODE(status.st_mode) & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise ValueError(f"other users can get at it (mode {mode:04o}); run: chmod 600")
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"longer than {FILE_BYTES_MAX} bytes")
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise ValueError("not a text of base64 keys") from None
    found = KeyFile([], [], [])
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                _read_line(line, found)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    if not found.keys:
        raise ValueError("no key in it")
    return found


def _read_line(line: str, found: KeyFile) -> None:
    words = line.split()
    if words[0] == _FORMER:
        if len(words) != 2 or not _ID.fullmatch(words[1]):
            raise ValueError("a former key is named by its id: former, eight digits")
        found.former.append(bytes.fromhex(words[1]))
        return
    if words[0] != _RETIRED:
        found.keys.append(Key.parse(line))
        return
    try:
        _, until, text = words
        seconds = float(until)
    except ValueError:
        seconds, text = math.nan, ""
    if not math.isfinite(seconds):
        raise ValueError("a removed key is: retired, Unix seconds, base64")
    found.retired.append((Key.parse(text), seconds))


def _open_at_once(path: str, flags: int) -> int:
    """Opening a pipe that nobody writes to must not wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def write_keys(
    path: str | PathLike[str],
    keys: Iterable[Key],
    retired: Iterable[tuple[Key, float]] = (),
    former: Iterable[bytes] = (),
) -> None:
    """Write keys to a file of mode 0600: the new content or the former one, never a part.

    A symbolic link with this name is replaced, and what it leads to is left alone.

    Raises:
        OSError: it cannot be written; a former file is as it was.
    """
    target = Path(path)
    text = "".join(f"{key.text}\n" for key in keys)
    text += "".join(f"{_RETIRED} {until:.0f} {key.text}\n" for key, until in retired)
    text += "".join(f"{_FORMER} {key_id.hex()}\n" for key_id in former)
    descriptor, name = tempfile.mkstemp(dir=target.parent or Path(), prefix=f".{target.name}.")
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
            file.write("# trio-gossip keyring: the first key seals, all open\n" + text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Have the new name of the file survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
