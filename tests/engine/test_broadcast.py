"""The transmit-limited queue: order, invalidation, gaps, budgets, lanes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from trio_gossip.codec.wire import PacketRoom
from trio_gossip.engine.broadcast import NEWS_QUEUE_MAX, BroadcastQueue
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.pacing import Pace


class Drops:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def queue(
    user_max: int = 100, share: float = 0.25, news_share: float = 0.25
) -> tuple[BroadcastQueue, list[str]]:
    dropped: list[str] = []
    subject = BroadcastQueue(
        pace=always(10),
        members_max=1000,
        user_max=user_max,
        user_share=share,
        news_share=news_share,
        bump=dropped.append,
    )
    return subject, dropped


def always(copies: int) -> Pace:
    """Everything may be told again at once."""
    return Pace(copies, eager=0, gaps=(0.0,), interval=1.0, packets=1)


def fill(subject: Lane | BroadcastQueue, budget: int, limit: int = 10) -> list[bytes]:
    room = PacketRoom(budget + 2)
    if isinstance(subject, Lane):
        return subject.fill(room, always(limit), 0.0)
    subject.pace = always(limit)
    return subject.fill(room, 0.0)


def test_fewest_transmissions_then_oldest_come_first() -> None:
    lane = Lane(100, Drops())
    for key, size in (("a", 5), ("b", 9), ("c", 9), ("d", 3)):
        lane.put(key, key.encode() * size)
    assert [part[:1] for part in fill(lane, 26)] == [b"a", b"b", b"c", b"d"]
    lane.put("e", b"e" * 4)
    assert [part[:1] for part in fill(lane, 9)] == [b"e", b"a"]


def test_a_later_one_that_fits_is_taken_when_the_first_does_not() -> None:
    lane = Lane(100, Drops())
    lane.put("long", b"x" * 50)
    lane.put("short", b"y" * 10)
    assert fill(lane, 30) == [b"y" * 10]


def test_a_message_is_hot_at_first_and_then_told_one_by_one_with_growing_gaps() -> None:
    """Half of all transmissions sent to members that were deaf for 300 ms were lost in one wave."""
    pace = Pace(copies=6, eager=2, gaps=(0.125, 0.25), interval=1.0, packets=1)
    lane = Lane(100, Drops())
    lane.put("a", b"aaaa")
    told = []
    for step in range(100):
        now = step / 64
        while lane.fill(PacketRoom(100), pace, now):
            told.append(now)
        assert lane.next_due(pace) > now
        assert lane.hot_size(pace.eager) == 0
    assert told == [0.0, 0.0, 0.125, 0.375, 0.625, 0.875]
    assert lane.next_due(pace) == math.inf


def test_what_is_hot_goes_first_and_cold_messages_fill_the_rest() -> None:
    pace = Pace(copies=6, eager=1, gaps=(0.1,), interval=1.0, packets=1)
    lane = Lane(100, Drops())
    for key in "abc":
        lane.put(key, key.encode() * 10)
    assert len(lane.fill(PacketRoom(100), pace, 0.0)) == 3
    lane.put("d", b"d" * 10)
    assert lane.hot_size(pace.eager) == 10
    assert lane.head_size(pace, 0.05) == 10
    assert [part[:1] for part in lane.fill(PacketRoom(100), pace, 0.05)] == [b"d"]
    lane.put("e", b"e" * 10)
    assert [part[:1] for part in lane.fill(PacketRoom(35), pace, 0.1)] == [b"e", b"a", b"b"]
    assert lane.head_size(Pace(6, 0, (9.0,), 1.0, 1), 0.2) == 0


def test_a_message_is_not_told_to_who_told_us() -> None:
    subject, _ = queue()
    subject.membership.put("x", b"of x", source="a")
    subject.user.put("u", b"from b", source="b")
    assert subject.fill(PacketRoom(1400), 0.0, "a") == [b"from b"]
    assert subject.fill(PacketRoom(1400), 0.0, "b") == [b"of x"]
    assert subject.fill(PacketRoom(1400), 0.0, "c") == [b"of x", b"from b"]


def test_a_queue_full_of_what_the_receiver_told_us_costs_a_bounded_look() -> None:
    lane = Lane(100_000, Drops())
    for number in range(10_000):
        lane.put(number, b"x" * 10, source="a")
    lane.put("b", b"news", source="b")
    looked = 0

    class Counted(PacketRoom):
        def take(self, size: int) -> bool:
            nonlocal looked
            looked += 1
            return super().take(size)

    assert lane.fill(Counted(1400), always(4), 0.0, "a") == []
    assert looked == 0
    assert len(lane.fill(Counted(1400), always(4), 0.0, "b")) > 100


def test_a_message_is_sent_exactly_as_often_as_the_limit_says() -> None:
    lane = Lane(100, Drops())
    lane.put("a", b"aaaa")
    sent = 0
    while fill(lane, 100, limit=4):
        sent += 1
    assert sent == 4
    assert len(lane) == 0
    assert lane.size == 0


def test_a_message_is_taken_once_for_each_packet() -> None:
    lane = Lane(100, Drops())
    lane.put("a", b"aaaa")
    assert fill(lane, 1000) == [b"aaaa"]


def test_news_with_the_same_key_replaces_and_starts_again() -> None:
    lane = Lane(100, Drops())
    lane.put("a", b"old news")
    for _ in range(3):
        fill(lane, 100, limit=4)
    lane.put("a", b"new news")
    assert [fill(lane, 100, limit=4) for _ in range(5)] == [[b"new news"]] * 4 + [[]]


def test_a_full_lane_drops_the_most_transmitted_and_counts_it() -> None:
    drops = Drops()
    lane = Lane(2, drops)
    lane.put("a", b"aaaa")
    fill(lane, 100)
    lane.put("b", b"bbbb")
    lane.put("c", b"cccc")
    assert drops.count == 1
    assert sorted(fill(lane, 100)) == [b"bbbb", b"cccc"]


def test_a_lane_can_be_emptied() -> None:
    lane = Lane(10, Drops())
    lane.put("a", b"aaaa")
    lane.discard("a")
    lane.discard("a")
    lane.put("b", b"bbbb")
    lane.clear()
    assert (len(lane), lane.size, lane.head_size(always(9), 0.0)) == (0, 0, 0)
    assert (lane.hot_size(9), lane.next_due(always(9)), fill(lane, 9)) == (0, math.inf, [])


def test_a_goodbye_goes_before_everything() -> None:
    subject, _ = queue()
    subject.membership.put("m", b"m" * 40)
    subject.user.put("u", b"u" * 40)
    subject.urgent.put("me", b"goodbye")
    assert fill(subject, 8) == [b"goodbye"]
    assert len(subject) == 3


def test_user_messages_keep_their_share_when_membership_competes() -> None:
    """memberlist gives them what membership leaves, which under churn is nothing."""
    subject, _ = queue(share=0.25)
    for number in range(100):
        subject.membership.put(number, b"m" * 100)
        subject.user.put(number, b"u" * 100)
    parts = fill(subject, 1201)
    assert sum(part[:1] == b"u" for part in parts) == 3
    assert sum(part[:1] == b"m" for part in parts) == 9


def test_what_one_lane_does_not_need_goes_to_the_other() -> None:
    subject, _ = queue(share=0.25)
    for number in range(100):
        subject.membership.put(number, b"m" * 100)
    subject.user.put("u", b"u" * 50)
    parts = fill(subject, 1251)
    assert (len(parts), parts[-1]) == (13, b"u" * 50)
    alone, _ = queue(share=0.25)
    for number in range(100):
        alone.user.put(number, b"u" * 100)
    assert len(fill(alone, 1200)) == 12


def test_a_user_message_longer_than_its_share_waits_until_its_room_has_come_together() -> None:
    subject, _ = queue(share=0.25)
    for number in range(300):
        subject.membership.put(number, b"m" * 100)
    subject.user.put("u", b"u" * 1100)
    packets = [fill(subject, 1201, limit=1000) for _ in range(12)]
    with_user = [any(part[:1] == b"u" for part in parts) for parts in packets]
    assert sum(with_user) == 3, "of 12 packets, 14,400 bytes, 3,600 are theirs"
    assert all(any(part[:1] == b"m" for part in parts) for parts in packets)


def test_answers_with_little_room_do_not_use_up_the_turns_of_a_long_user_message() -> None:
    """Every second packet was its turn; when that one always had a ping in it, which left too
    little room, the message never went out, and the packet had no news in it at all.
    """
    subject, _ = queue(share=0.25)
    for number in range(1000):
        subject.membership.put(number, b"m" * 100)
    subject.user.put("u", b"u" * 1190)
    sent = 0
    for _ in range(20):
        assert len(fill(subject, 1100, limit=1000)) == 11
        sent += any(part[:1] == b"u" for part in fill(subject, 1200, limit=1000))
    assert sent >= 8


@given(
    st.lists(st.integers(100, 1000), min_size=1, max_size=20),
    st.floats(0.0, 0.5),
    st.lists(st.sampled_from([1000, 1010, 1390]), min_size=1, max_size=300),
)
def test_competing_lanes_share_packets_as_configured(
    user: list[int], share: float, budgets: list[int]
) -> None:
    subject, _ = queue(user_max=1000, share=share)
    for number in range(1000):
        subject.membership.put(number, b"m" * 20)
    for number, size in enumerate(user * 20):
        subject.user.put(number, b"u" * size)
    theirs = 0
    for budget in budgets:
        parts = fill(subject, budget, limit=100_000)
        theirs += sum(len(part) for part in parts if part[:1] == b"u")
        assert sum(map(len, parts)) > budget - 30, "room was wasted"
    # What is owed at the end: one share, and less than the longest message.
    short = 2 * (max(user) + share * max(budgets))
    assert share * sum(budgets) - short <= theirs <= share * sum(budgets) + 1


@given(
    # Behind 32 messages that do not fit (``_MISSES_MAX``) a shorter one is not looked for.
    st.lists(st.integers(4, 300), max_size=31),
    st.lists(st.integers(4, 300), max_size=31),
    st.integers(4, 1400),
    st.floats(0.0, 0.9),
)
def test_packets_are_never_over_the_budget_and_nothing_is_sent_too_often(
    membership: list[int], user: list[int], budget: int, share: float
) -> None:
    subject, drops = queue(share=share)
    sent: dict[bytes, int] = {}
    for number, size in enumerate(membership):
        subject.membership.put(number, b"m%03d" % number + b"." * (size - 4))
    for number, size in enumerate(user):
        subject.user.put(number, b"u%03d" % number + b"." * (size - 4))
    for _ in range(400):
        room = PacketRoom(budget)
        subject.pace = always(3)
        parts = subject.fill(room, 0.0)
        heads = 2 + (len(parts) > 22)
        assert sum(map(len, parts)) + heads <= max(budget, 2)
        for part in parts:
            sent[part] = sent.get(part, 0) + 1
    assert all(count <= 3 for count in sent.values())
    fitting = [size for size in membership + user if size <= budget - 2]
    assert len(sent) == len(fitting)
    assert all(count == 3 for count in sent.values())
    assert not drops


def test_three_lanes_that_compete_each_get_their_share() -> None:
    subject, _ = queue(share=0.25, news_share=0.25)
    for number in range(100):
        subject.membership.put(number, b"m" * 100)
        subject.news.put(number, b"n" * 100)
        subject.user.put(number, b"u" * 100)
    kinds = [part[:1] for part in fill(subject, 1202)]
    assert [kinds.count(kind) for kind in (b"m", b"n", b"u")] == [6, 3, 3]


def test_news_and_user_messages_without_membership_fill_the_packet() -> None:
    subject, _ = queue(share=0.25, news_share=0.25)
    for number in range(100):
        subject.news.put(number, b"n" * 100)
        subject.user.put(number, b"u" * 100)
    kinds = [part[:1] for part in fill(subject, 1201)]
    assert len(kinds) == 12
    assert kinds.count(b"u") >= 3
    assert kinds.count(b"n") >= 3


@given(
    st.lists(st.integers(4, 300), max_size=40),
    st.lists(st.integers(4, 300), max_size=40),
    st.lists(st.integers(4, 300), max_size=40),
    st.integers(4, 1400),
    st.floats(0.0, 0.45),
    st.floats(0.0, 0.45),
)
def test_three_lanes_are_all_told_to_the_end_within_the_budget(
    membership: list[int],
    news: list[int],
    user: list[int],
    budget: int,
    share: float,
    news_share: float,
) -> None:
    subject, drops = queue(share=share, news_share=news_share)
    lanes = ((subject.membership, membership), (subject.news, news), (subject.user, user))
    for letter, (lane, sizes) in zip(b"mnu", lanes, strict=True):
        for number, size in enumerate(sizes):
            lane.put(number, b"%c%03d" % (letter, number) + b"." * (size - 4))
    sent: dict[bytes, int] = {}
    subject.pace = always(3)
    for _ in range(400):
        parts = subject.fill(PacketRoom(budget), 0.0)
        assert sum(map(len, parts)) + 2 + (len(parts) > 22) <= max(budget, 2)
        for part in parts:
            sent[part] = sent.get(part, 0) + 1
    fitting = [size for size in membership + news + user if size <= budget - 2]
    assert len(sent) == len(fitting)
    assert all(count == 3 for count in sent.values())
    assert not drops


def test_news_beyond_the_bound_are_dropped_and_counted_by_their_own_name() -> None:
    subject, drops = queue(user_max=1)
    for number in range(NEWS_QUEUE_MAX + 2):
        subject.news.put(number, b"news")
    assert len(subject.news) == NEWS_QUEUE_MAX
    subject.user.put(1, b"user")
    subject.user.put(2, b"user")
    assert drops == ["news_dropped"] * 2 + ["broadcast_dropped"]


def test_a_full_lane_drops_the_oldest_when_all_was_told_equally_often() -> None:
    subject, drops = queue(user_max=2)
    subject.user.put("told", b"told")
    for _ in range(10):
        fill(subject, 100)
    assert not len(subject.user), "it was told to the end, as often as anything is"
    for number in range(3):
        subject.user.put(number, b"new %d" % number)
    assert drops == ["broadcast_dropped"]
    assert fill(subject, 100) == [b"new 1", b"new 2"]


def test_no_transmission_is_spent_on_the_member_that_the_news_is_about() -> None:
    """With two transmissions in a cluster of three, the third member often heard nothing."""
    subject, _ = queue()
    subject.membership.put("a", b"alive a", subject="a")
    subject.membership.put("b", b"dead b!!")
    assert subject.fill(PacketRoom(1400), 0.0, "a") == [b"dead b!!"]
    assert subject.fill(PacketRoom(1400), 0.0, "b") == [b"alive a", b"dead b!!"]
    subject.user.put("u", b"user")
    assert subject.fill(PacketRoom(1400), 0.0, "a") == [b"dead b!!", b"user"]


def test_the_subject_hears_accusations() -> None:
    from tests.engine.bench import Bench
    from trio_gossip.codec.messages import Alive, Suspect

    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.clear()
    bench.wait(1.0)
    assert [m.name for m in bench.messages(Suspect, to="a")]
    assert "b" not in {m.name for m in bench.messages(Alive, to="b")}
