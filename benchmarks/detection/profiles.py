"""The settings that are compared, by the name that ``--profile`` takes."""

from __future__ import annotations

from typing import Any

import attrs

from trio_gossip import Config

PRESETS = ("lan", "fast", "safe", "wan", "local")

MEMBERLIST = "memberlist"
"""The rules of memberlist on our engine, with the gossip of memberlist as well."""

MEMBERLIST_CHANGES: dict[str, Any] = {"detector": "memberlist", "eager_copies": 0}


class NoProfileError(Exception):
    """Its text says in one line which profile this version does not have."""


def config_of(profile: str, *, name: str, **changes: Any) -> Config:
    """The settings of one member.

    Raises:
        NoProfileError: this version has no such profile.
    """
    if profile == MEMBERLIST:
        fields = {field.name for field in attrs.fields(Config)}
        known = {key: value for key, value in MEMBERLIST_CHANGES.items() if key in fields}
        return Config.lan(name=name, **(known | changes))
    preset = getattr(Config, profile, None) if profile in PRESETS else None
    if preset is None:
        raise NoProfileError(f"there is no profile {profile!r} in this version")
    return preset(name=name, **changes)


def changes_of(profile: str) -> dict[str, Any]:
    """What a profile changes of the LAN profile: :class:`Simulation` takes it so.

    Raises:
        NoProfileError: this version has no such profile.
    """
    wanted, base = config_of(profile, name="x"), Config.lan(name="x")
    return {
        field.name: getattr(wanted, field.name)
        for field in attrs.fields(Config)
        if getattr(wanted, field.name) != getattr(base, field.name)
    }


def split_profiles(text: str) -> list[str]:
    """The profiles of ``lan,fast``, each checked.

    Raises:
        NoProfileError: this version lacks one of them.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        config_of(name, name="x")
    return names
