"""How long a suspect has, as a function of what its accusers found; merging in any order."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import ACCUSERS_MAX, AGE_MS_MAX
from trio_gossip.config import Config
from trio_gossip.config_faults import PACKET_BYTES_MIN
from trio_gossip.engine.graded import CONFIRMATIONS, SPARE_ACCUSERS, GradedSuspicion, class_of
from trio_gossip.failures import Evidence
from trio_gossip.members import INCARNATION_MAX

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED
LAN = Config.lan(name="me")
CODEC = NativeCodec()

evidence = st.sampled_from(list(Evidence))
names = st.sampled_from([f"n{number}" for number in range(14)])
testimonies = st.lists(st.tuples(names, evidence), min_size=1, max_size=30)
wanted = st.integers(0, CONFIRMATIONS)
configs = st.sampled_from(
    [maker(name="me") for maker in (Config.lan, Config.fast, Config.safe, Config.wan, Config.local)]
)


def suspicion(
    *found: Evidence, wanted: int = 2, started: float = 0.0, received: float = 0.0
) -> GradedSuspicion:
    first, *rest = found
    made = GradedSuspicion(1, started, received, wanted, {"n0": first})
    for number, each in enumerate(rest, 1):
        made.testify(f"n{number}", each)
    return made


def merged(testimony: list[tuple[str, Evidence]], wanted: int) -> GradedSuspicion:
    (name, found), *rest = testimony
    made = GradedSuspicion(1, 0.0, 0.0, wanted, {name: found})
    for each in rest:
        made.testify(*each)
    return made


# -- the class --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ([SILENT], 2, SILENT),
        ([STALLED], 2, STALLED),
        ([REFUSED], 2, SILENT),
        ([REFUSED], 1, SILENT),
        ([REFUSED], 0, REFUSED),
        ([STALLED], 0, STALLED),
        ([REFUSED, SILENT, SILENT], 2, SILENT),
        ([REFUSED, REFUSED], 2, REFUSED),
        ([REFUSED, REFUSED], 1, REFUSED),
        ([REFUSED, REFUSED, STALLED], 2, REFUSED),
        ([REFUSED, STALLED], 2, STALLED),
        ([SILENT, STALLED, SILENT], 2, STALLED),
    ],
)
def test_two_refusals_make_it_refused_and_one_that_accepts_makes_it_stalled(
    found: list[Evidence], wanted: int, expected: Evidence
) -> None:
    for order in permutations(found):
        assert class_of({f"n{at}": each for at, each in enumerate(order)}, wanted) is expected


# -- the time ---------------------------------------------------------------------------


def test_a_refused_suspect_has_the_same_time_however_many_accuse() -> None:
    assert suspicion(REFUSED, REFUSED).duration(LAN, 0) == 1.0
    assert suspicion(*[REFUSED] * 5).duration(LAN, 0) == 1.0
    assert suspicion(REFUSED, wanted=0).duration(LAN, 0) == 1.0
    assert suspicion(REFUSED, REFUSED).duration(LAN, 3) == 4.0, "but for our own health"


def test_with_two_members_the_floor_is_stretched_by_the_factor_for_them() -> None:
    fast = Config.fast(name="me")
    assert suspicion(SILENT, wanted=0).duration(fast, 0) == pytest.approx(3.2)
    assert suspicion(STALLED, wanted=0).duration(fast, 1) == pytest.approx(8.0)
    assert suspicion(REFUSED, wanted=0).duration(fast, 0) == 0.5, "unless the process is gone"


def test_it_falls_with_the_logarithm_of_the_accusers() -> None:
    times = [suspicion(*[SILENT] * count).duration(LAN, 0) for count in (1, 2, 3, 4, 5)]
    assert times[0] == 24.0
    assert times[1] == pytest.approx(24.0 - 20.0 * math.log(2) / math.log(3))
    assert times[2:] == [pytest.approx(4.0)] * 3
    times = [suspicion(*[SILENT] * count, wanted=1).duration(LAN, 0) for count in (1, 2, 3)]
    assert times == [24.0, pytest.approx(4.0), pytest.approx(4.0)]


def test_it_is_on_the_air_for_a_while_whatever_its_age() -> None:
    assert suspicion(*[SILENT] * 3, started=-9.0, received=0.0).deadline(LAN, 0) == 0.5
    late = suspicion(*[SILENT] * 3, started=-2.0, received=0.0)
    assert late.deadline(LAN, 0) == pytest.approx(2.0)
    late.patience = 0.4
    assert late.deadline(LAN, 0) == pytest.approx(2.4)


@given(configs, wanted, st.lists(evidence, min_size=1, max_size=9), st.integers(0, 7))
def test_bad_health_never_makes_it_shorter(
    config: Config, wanted: int, found: list[Evidence], health: int
) -> None:
    made = suspicion(*found, wanted=wanted)
    assert made.duration(config, health) <= made.duration(config, health + 1)


@given(configs, wanted, testimonies, st.integers(0, 7), names)
def test_a_confirmation_of_the_same_class_never_makes_it_longer(
    config: Config, wanted: int, testimony: list[tuple[str, Evidence]], health: int, name: str
) -> None:
    made = merged(testimony, wanted)
    before, was = made.deadline(config, health), made.evidence
    made.testify(name, SILENT)
    if made.evidence is was:
        assert made.deadline(config, health) <= before


@given(configs, wanted, st.integers(0, 7), st.lists(evidence, min_size=1, max_size=9))
def test_it_is_never_shorter_than_the_floor_of_its_class_nor_longer_than_the_longest(
    config: Config, wanted: int, health: int, found: list[Evidence]
) -> None:
    made = suspicion(*found, wanted=wanted)
    floors = {
        SILENT: config.floor_silent,
        STALLED: config.floor_stalled,
        REFUSED: config.floor_refused,
    }
    floor = floors[made.evidence] * (1 + health)
    most = max(config.max_factor, config.solo_factor)
    longest = most * max(floor, config.floor_silent * (1 + health))
    assert floor <= made.duration(config, health) <= longest + 1e-9


# -- merging ----------------------------------------------------------------------------


def test_more_accusers_than_count_are_kept_to_a_bound_and_those_refused_beyond_it() -> None:
    made = suspicion(*[SILENT] * 20)
    assert len(made.found) == CONFIRMATIONS + 1 + SPARE_ACCUSERS
    for number in range(20, 40):
        made.testify(f"n{number}", REFUSED)
    assert len(made.found) == ACCUSERS_MAX
    assert made.evidence is REFUSED


def test_helpers_of_one_round_fit_beside_their_accuser() -> None:
    made = suspicion(*[REFUSED] * (6 + 1))
    assert len(made.found) == 6 + 1


def test_only_what_changes_something_is_worth_telling() -> None:
    made = suspicion(SILENT)
    assert made.testify("b", SILENT), "a confirmation"
    assert not made.testify("b", SILENT), "said before"
    assert made.testify("c", SILENT), "a confirmation"
    assert not made.testify("d", SILENT), "more than count"
    assert made.testify("d", STALLED), "another class"
    assert not made.testify("d", SILENT), "less than it said before"
    assert not made.testify("c", STALLED), "nothing new"
    assert not made.testify("e", REFUSED), "one alone changes nothing"
    assert made.testify("c", REFUSED), "the second one does"


@given(wanted, st.dictionaries(names, evidence, min_size=1, max_size=9), st.randoms())
def test_the_order_in_which_accusers_are_heard_does_not_matter(
    wanted: int, found: dict[str, Evidence], rng: object
) -> None:
    """Up to the number that is kept, and for those that say that the process is gone always."""
    most = wanted + 1 + SPARE_ACCUSERS
    if len(found) > most:
        found = dict.fromkeys(found, REFUSED)
    items = list(found.items())
    one = merged(items, wanted)
    rng.shuffle(items)  # type: ignore[attr-defined]  # a random.Random
    other = merged(items, wanted)
    assert one.found == other.found == found
    assert one.evidence is other.evidence
    assert one.deadline(LAN, 0) == other.deadline(LAN, 0)


@given(wanted, testimonies)
@settings(max_examples=200)
def test_hearing_everything_again_changes_nothing(
    wanted: int, testimony: list[tuple[str, Evidence]]
) -> None:
    made = merged(testimony, wanted)
    for _ in range(2):  # one that was turned away may find room as a refused one
        for each in testimony:
            made.testify(*each)
    before = dict(made.found)
    assert not any(made.testify(*each) for each in testimony)
    assert made.found == before
    assert len(made.found) <= ACCUSERS_MAX


# -- what is told -----------------------------------------------------------------------


def test_what_is_told_has_the_first_accuser_first_and_the_age_in_milliseconds() -> None:
    made = suspicion(STALLED, SILENT, REFUSED, started=10.0)
    told = made.told("x", 11.2345)
    assert (told.name, told.accuser, told.evidence, told.age) == ("x", "n0", STALLED, 1234)
    assert dict(told.others) == {"n1": SILENT, "n2": REFUSED}
    assert made.told("x", 9.0).age == 0, "a clock that was moved"
    assert made.told("x", 1e9).age == AGE_MS_MAX


@given(wanted, testimonies, st.floats(0, 1e6))
def test_what_is_told_comes_back_whole(
    wanted: int, testimony: list[tuple[str, Evidence]], age: float
) -> None:
    made = merged(testimony, wanted)
    told = made.told("x", age)
    assert CODEC.unpack_untrusted(CODEC.pack([CODEC.encode(told)])) == [told]
    assert {told.accuser: told.evidence, **dict(told.others)} == made.found


def test_with_the_longest_names_it_still_fits_the_smallest_packet() -> None:
    """It was never told once, as it was longer than a packet."""
    made = GradedSuspicion(INCARNATION_MAX, 0.0, 0.0, 2, {"a" * 255: SILENT})
    for letter in "bcdefgh":
        made.testify(letter * 255, SILENT if letter < "d" else REFUSED)
    told = made.told("x" * 255, 1e9)
    assert len(CODEC.pack([CODEC.encode(told)])) <= PACKET_BYTES_MIN
    assert told.others == (("d" * 255, REFUSED),), "what says most goes first"


def test_the_steps_tell_what_led_here_and_nothing_that_did_not_happen() -> None:
    made = suspicion(SILENT, started=10.0, received=12.0)
    made.private = True
    assert made.grounds(13.0).steps == (("suspected", 3.0),)
    made.probed = 9.0
    assert made.grounds(13.0).steps == (("probed", 4.0), ("suspected", 3.0))
    made.private = False
    made.final = 12.5
    steps = made.grounds(13.0).steps
    assert steps == (("probed", 4.0), ("suspected", 3.0), ("told", 1.0), ("final_ping", 0.5))
    assert made.grounds(0.0).steps[0] == ("probed", 0.0)
    assert made.accusers == ["n0"]
    assert made.grounds(13.0).testimony == (("n0", SILENT),)
