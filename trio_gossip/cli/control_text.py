"""What a command prints of an agent's answer: objects for programs, columns for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from trio_gossip.cli.control_wire import ControlWireError
from trio_gossip.cli.printing import text_fields
from trio_gossip.cli.problems import visible

if TYPE_CHECKING:
    from trio_gossip.cli.control_wire import Row, Tree

_GAP: Final = "  "
_QUIET: Final = (0, 0.0, "", None)
"""Statistics that people are not shown."""

_SECONDS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def member_records(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Members as objects, as they are in the lines of an agent.

    Raises:
        ControlWireError: the rows are none of members.
    """
    records: list[dict[str, Any]] = []
    for row in rows:
        match row:
            case [str(name), str(address), str(state), int(incarnation), bytes(meta)]:
                record = {"name": name, "address": address, "state": state}
                records.append({**record, "incarnation": incarnation, **text_fields("meta", meta)})
            case _:
                raise ControlWireError("a row that is no member")
    return records


def key_records(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """What each member said of its keys, as objects.

    Raises:
        ControlWireError: the rows are none of keys.
    """
    records: list[dict[str, Any]] = []
    for row in rows:
        match row:
            case [str(name), bool(ok), str(error), *ids] if all(isinstance(i, str) for i in ids):
                records.append({"name": name, "ok": ok, "error": error, "keys": ids})
            case _:
                raise ControlWireError("a row that is none of keys")
    return records


def member_lines(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table of members, sorted by name, and a line that counts them."""
    fields = ("name", "address", "state", "meta")
    rows = [tuple(str(each[field]) for field in fields) for each in records]
    yield from _table(fields, sorted(rows))
    active = sum(each["state"] in ("alive", "suspect") for each in records)
    yield ""
    yield f"{active} of {len(records)} members are here"


def key_lines(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table of keys: a row for each member; the first key is the one that it seals with."""
    rows = [
        (
            str(each["name"]),
            "yes" if each["ok"] else "no",
            " ".join(each["keys"]) or "?",
            str(each["error"]),
        )
        for each in records
    ]
    yield from _table(("name", "ok", "keys", "error"), sorted(rows))


def info_lines(tree: Mapping[str, Any]) -> Iterator[str]:
    """Who the agent is, and all statistics that are not zero."""
    member, members, security = (_part(tree, name) for name in ("member", "members", "security"))
    told = [
        ("name", f"{member.get('name')}, {member.get('state')}"),
        ("address", f"{member.get('address')}, listens at {tree.get('bound')}"),
        ("members", f"{members.get('active')} of {members.get('known')} are here"),
        ("health score", str(tree.get("health_score"))),
        ("up for", _duration(tree.get("uptime"))),
        ("process", f"{tree.get('pid')}, trio-gossip {tree.get('version')}"),
        ("profile", str(tree.get("profile"))),
        ("sealing", _sealing(security)),
        ("TLS", _tls(security)),
    ]
    yield from _columns(told)
    yield ""
    parts = {name: _part(tree, name) for name in ("statistics", "control")}
    flat = (pair for part in parts.values() for pair in _flat(part))
    yield from _columns(list(flat))


def _part(tree: Mapping[str, Any], name: str) -> Tree:
    part = tree.get(name)
    return cast("Tree", part) if isinstance(part, dict) else {}


def _sealing(security: Mapping[str, Any]) -> str:
    if not security.get("sealed"):
        return "none"
    first, *others = map(str, security.get("keys") or ["?"])
    text = f"with key {first}"
    if others:
        text += f"; {' '.join(others)} open as well"
    if security.get("label"):
        text += f"; label {security['label']}"
    if security.get("send_plain"):
        text += "; sends in plain"
    if security.get("accept_plain"):
        text += "; takes what is plain"
    return text


def _tls(security: Mapping[str, Any]) -> str:
    if not security.get("tls"):
        return "none"
    names = " ".join(map(str, security.get("certificate_names") or ["?"]))
    what = "packets and streams" if security.get("tls_packets") else "streams"
    return f"{what}; certificate of {names} until {security.get('certificate_until')}"


def _duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return "?"
    for size, unit in _SECONDS:
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(cast("Tree", value), f"{path}{name}.")
        elif value not in _QUIET:
            told = f"{value:.6f}" if isinstance(value, float) else str(value)
            yield f"{path}{name}", told


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns under their titles; one that is empty in every row is left out."""
    shown = [n for n in range(len(titles)) if n == 0 or any(row[n] for row in rows)]
    yield from _columns([[titles[n] for n in shown], *([row[n] for n in shown] for row in rows)])


def _columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    # Names, metadata and errors were chosen by others, and a terminal would act on some of them.
    clean = [[visible(cell) for cell in row] for row in rows]
    if not clean:
        return
    widths = [max(len(row[n]) for row in clean) for n in range(len(clean[0]))]
    for row in clean:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield _GAP.join(cells).rstrip()
