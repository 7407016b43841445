"""The settings of the evidence detector: its profiles, and what they must keep to."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from trio_gossip.config import Config
from trio_gossip.detector_config import DetectorConfig
from trio_gossip.errors import ConfigError

PROFILES: dict[str, tuple[float, ...]] = {
    # our field: lan, fast, safe, wan and local
    "floor_refused": (1.0, 0.5, 1.0, 3.0, 0.3),
    "floor_silent": (4.0, 1.6, 8.0, 12.0, 1.0),
    "floor_stalled": (10.0, 2.0, 20.0, 20.0, 2.0),
    "max_factor": (6.0, 6.0, 4.0, 6.0, 6.0),
    "quiet": (2.0, 0.8, 4.0, 5.0, 0.4),
    "solo_factor": (1.0, 2.0, 1.0, 1.0, 1.0),
    "rto_floor": (0.1, 0.1, 0.1, 0.5, 0.05),
    "rto_ceil": (0.5, 0.5, 0.5, 3.0, 0.2),
    "scan_interval": (1.0, 1.0, 1.0, 2.0, 1.0),
    "ring_interval": (1.0, 1.0, 1.0, 2.0, 1.0),
    "min_public": (0.5, 0.5, 0.5, 1.5, 0.3),
    "reprobe": (0.5, 0.5, 0.5, 1.0, 0.25),
}
MAKERS = (Config.lan, Config.fast, Config.safe, Config.wan, Config.local)


@pytest.mark.parametrize("field", PROFILES)
def test_each_profile_has_its_times(field: str) -> None:
    assert tuple(getattr(maker(name="a"), field) for maker in MAKERS) == PROFILES[field]


@pytest.mark.parametrize("maker", MAKERS)
def test_each_profile_says_what_it_forgives(maker: Any) -> None:
    config = maker(name="a")
    text = maker.__doc__
    assert "forgiven" in text
    assert f"{min(config.floor_stalled, 20.0):g} s" in text


@pytest.mark.parametrize("maker", MAKERS)
def test_each_profile_takes_changes_and_checks_them(maker: Any) -> None:
    config = maker(name="a", ring_interval=None, helpers=0, kernel_evidence=False)
    assert (config.ring_interval, config.helpers, config.kernel_evidence) == (None, 0, False)
    with pytest.raises(ConfigError, match="floor_silent"):
        maker(name="a", quiet=1e6)


@pytest.mark.parametrize("maker", MAKERS)
def test_the_rules_of_memberlist_come_with_each_profile(maker: Any) -> None:
    assert maker(name="a").detector == "evidence"
    assert maker(name="a", detector="memberlist").detector == "memberlist"


@pytest.mark.parametrize("wrong", ["swim", "", None, 1, b"evidence"])
def test_there_are_two_detectors(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"detector .* must be one of 'evidence', 'memberlist'"):
        Config.lan(name="a", detector=wrong)


@pytest.mark.parametrize("wrong", [0, 0.0, -1.0, math.nan, math.inf, "1", True, 1e10])
def test_the_ring_is_asked_every_so_many_seconds_or_not_at_all(wrong: Any) -> None:
    assert Config.lan(name="a", ring_interval=None).ring_interval is None
    assert Config.lan(name="a", ring_interval=3).ring_interval == 3
    with pytest.raises(ConfigError, match=r"ring_interval .* must be seconds above 0, or None"):
        Config.lan(name="a", ring_interval=wrong)


@pytest.mark.parametrize("field", ["max_factor", "solo_factor"])
@pytest.mark.parametrize("wrong", [0.99, 64.01, math.nan, math.inf, -1, "2", None, True])
def test_a_factor_is_from_1_to_64(field: str, wrong: Any) -> None:
    for good in (1, 1.0, 64.0):
        assert getattr(Config.lan(name="a", **{field: good}), field) == good
    with pytest.raises(ConfigError, match=f"{field} .* must be a number from 1 to 64"):
        Config.lan(name="a", **{field: wrong})


def test_a_timeout_has_its_floor_below_its_ceiling() -> None:
    assert Config.lan(name="a", rto_floor=0.5, floor_silent=10.0).rto_floor == 0.5
    with pytest.raises(ConfigError, match=r"rto_floor \(0.6\) must not exceed rto_ceil \(0.5\)"):
        Config.lan(name="a", rto_floor=0.6, floor_silent=10.0)


def test_a_suspicion_lasts_until_others_have_heard_of_it() -> None:
    # Its quiet time, the helpers' round, the least time in public, and a little tolerance.
    assert Config.lan(name="a", floor_silent=2.8).floor_silent == 2.8
    with pytest.raises(ConfigError, match=r"at least quiet \+ 4 rto_floor \+ min_public - 0.1"):
        Config.lan(name="a", floor_silent=2.79)


def test_a_kernel_that_answers_is_no_worse_sign_than_none() -> None:
    assert Config.lan(name="a", floor_stalled=4.0).floor_stalled == 4.0
    with pytest.raises(ConfigError, match=r"floor_stalled .* must not be below floor_silent"):
        Config.lan(name="a", floor_stalled=3.9)


@pytest.mark.parametrize("field", ["scan_interval", "ring_interval"])
def test_a_probe_ends_before_the_next_one(field: str) -> None:
    assert getattr(Config.lan(name="a", **{field: 0.11}), field) == 0.11
    with pytest.raises(ConfigError, match=f"rto_floor .* must be below {field}"):
        Config.lan(name="a", **{field: 0.1})


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.lan(name="a", detector="x", max_factor=0.0, helpers=7, quiet=-1.0)
    for field in ("detector", "max_factor", "helpers", "quiet"):
        assert field in str(caught.value)


def test_the_settings_of_the_detector_can_be_made_without_a_member() -> None:
    defaults = attrs.asdict(DetectorConfig())
    config = attrs.asdict(Config.lan(name="a"), recurse=False)
    assert all(config[field] == value for field, value in defaults.items())
