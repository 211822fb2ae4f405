"""Two classes that are interleaved in an exact share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gantk.data.pools import Pools

SIZES = st.integers(1, 40)
FRACTIONS = st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.7, 0.9])


@given(SIZES, SIZES, FRACTIONS, st.integers(1, 3))
def test_all_of_both_classes_are_drawn_and_the_share_is_exact(
    core: int, other: int, fraction: float, passes: int
) -> None:
    pools = Pools.of(range(core), range(other), fraction)
    count = pools.draws(passes)
    places = [pools.place(draw) for draw in range(count)]
    for kind, size in enumerate((core, other)):
        own = [before for which, before in places if which == kind]
        assert own == list(range(len(own)))
        assert len(own) >= passes * size - 1  # one is lost where the share is no part of the whole
    for draws in range(1, count + 1):
        drawn = sum(which == 0 for which, _ in places[:draws])
        assert abs(drawn - draws * fraction) < 1


def test_one_class_stands_for_both_where_the_other_is_empty() -> None:
    for pools, kind in ((Pools.of("ab", "", 0.5), 0), (Pools.of("", "ab", 0.5), 1)):
        assert pools.draws() == 2
        assert [pools.place(draw) for draw in range(2)] == [(kind, 0), (kind, 1)]


def test_without_a_share_all_are_one_class_and_each_comes_once() -> None:
    pools = Pools.of("ab", "cde", None)
    assert (pools.core, pools.other, pools.draws()) == ((), tuple("abcde"), 5)
    assert [pools.place(draw) for draw in range(5)] == [(1, i) for i in range(5)]
