"""The counts that follow beliefs step by step are those of a look at everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_gossip.testing.page.beliefs import State
from trio_gossip.testing.page.spread import Spread

NAMES = ("a", "b", "c", "d")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("up"), st.sampled_from(NAMES)),
        st.tuples(st.just("down"), st.sampled_from(NAMES)),
        st.tuples(
            st.just("believe"),
            st.sampled_from(NAMES),
            st.sampled_from(NAMES),
            st.sampled_from(State),
        ),
    ),
    max_size=60,
)


class Model:
    """Everything as plain dictionaries, counted anew each time."""

    def __init__(self) -> None:
        self.runs: dict[str, bool] = {}
        self.views: dict[tuple[str, str], State] = {}

    def take(self, step: tuple) -> None:
        match step:
            case ("up", name):
                if not self.runs.get(name):
                    self.views = {
                        pair: state for pair, state in self.views.items() if pair[0] != name
                    }
                self.runs[name] = True
            case ("down", name) if name in self.runs:
                self.runs[name] = False
            case ("believe", observer, subject, state):
                known = observer != subject and self.runs.get(observer) and subject in self.runs
                if known:
                    self.views[observer, subject] = state

    def pairs(self) -> list[tuple[str, str]]:
        return [
            (observer, subject)
            for observer in self.runs
            for subject in self.runs
            if observer != subject and self.runs[observer]
        ]

    def right(self) -> int:
        count = 0
        for observer, subject in self.pairs():
            state = self.views.get((observer, subject), State.UNKNOWN)
            thinks_it_runs = state in (State.ALIVE, State.SUSPECT)
            doubts = state is State.SUSPECT
            count += not doubts and thinks_it_runs == self.runs[subject]
        return count

    def gone(self, subject: str) -> list[int]:
        """Others that suspect it, that hold it for gone, and all others."""
        states = [
            self.views.get(pair, State.UNKNOWN) for pair in self.pairs() if pair[1] == subject
        ]
        gone = [State.FAILED, State.LEFT] + ([] if self.runs[subject] else [State.UNKNOWN])
        knowing = sum(state in gone for state in states)
        return [states.count(State.SUSPECT), knowing, len(states)]


@given(STEPS)
def test_counts_are_those_of_a_look_at_everything(steps):
    spread, model = Spread(), Model()
    for time, step in enumerate(steps):
        getattr(spread, step[0])(float(time), *step[1:])
        model.take(step)
        assert spread.right == model.right(), step
        assert spread.possible == len(model.pairs())
        assert spread.is_settled == (spread.right == len(model.pairs()))
        for rumour in spread.rumours:
            closed = (rumour.known_at, rumour.refuted_at, rumour.restarted_at)
            if closed == (None, None, None):
                _, *counts = rumour.curve[-1]
                assert counts == model.gone(rumour.subject), (step, rumour)


@given(STEPS)
def test_a_rumour_is_closed_when_everybody_knows(steps):
    spread = Spread()
    for time, step in enumerate(steps):
        getattr(spread, step[0])(float(time), *step[1:])
    for rumour in spread.rumours:
        _, suspecting, knowing, others = rumour.curve[-1]
        assert rumour.known_at is None or rumour.refuted_at is None
        if rumour.known_at is not None:
            assert knowing == others > 0
        if rumour.refuted_at is not None:
            assert suspecting == knowing == 0
        times = [time for time, *_ in rumour.curve]
        assert times == sorted(times)
        assert rumour.began <= times[0]


def test_a_share_of_nothing_is_all():
    spread = Spread()
    assert spread.share == 1.0
    assert spread.is_settled
    spread.up(0.0, "a")
    assert spread.share == 1.0
    spread.up(0.0, "b")
    assert spread.share == 0.0
    spread.believe(1.0, "a", "b", State.ALIVE)
    assert spread.share == 0.5
    assert spread.view("a", "b") is State.ALIVE
    assert spread.view("b", "a") is State.UNKNOWN


def test_beliefs_of_the_dead_and_of_oneself_do_not_count():
    spread = Spread()
    for name in "ab":
        spread.up(0.0, name)
    spread.down(1.0, "a")
    spread.believe(2.0, "a", "b", State.FAILED)
    spread.believe(2.0, "b", "b", State.FAILED)
    spread.believe(2.0, "b", "stranger", State.FAILED)
    assert spread.declarations == 0
    assert spread.view("a", "b") is State.UNKNOWN


def test_who_was_reaped_stays_known():
    spread = Spread()
    for name in "abc":
        spread.up(0.0, name)
    for observer in "ab":
        spread.believe(0.0, observer, "c", State.ALIVE)
    spread.down(1.0, "c")
    spread.believe(2.0, "a", "c", State.FAILED)
    spread.believe(3.0, "a", "c", State.UNKNOWN)
    (rumour,) = spread.rumours
    assert rumour.known_at is None
    spread.believe(4.0, "b", "c", State.FAILED)
    assert rumour.known_at == 4.0
    spread.believe(5.0, "b", "c", State.UNKNOWN)
    assert spread.rumours == [rumour]


def test_a_restart_ends_the_news_of_the_end():
    spread = Spread()
    for name in "abc":
        spread.up(0.0, name)
    for observer in "ab":
        spread.believe(0.0, observer, "c", State.ALIVE)
    spread.down(1.0, "c")
    spread.up(2.5, "c")
    (rumour,) = spread.rumours
    assert (rumour.ended_at, rumour.restarted_at, rumour.known_at) == (1.0, 2.5, None)
    spread.believe(3.0, "a", "c", State.SUSPECT)
    assert len(spread.rumours) == 2, "what comes after it is another story"
    assert spread.rumours[1].is_false
