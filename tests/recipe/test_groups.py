"""Names of batch groups and of their parts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantk.recipe.groups import GROUPS, PATTERN, GroupName


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paired", GroupName("paired")),
        ("target", GroupName("target")),
        ("paired:1/2", GroupName("paired", 1, 2)),
        ("unpaired:3/3", GroupName("unpaired", 3, 3)),
        ("source:10/12", GroupName("source", 10, 12)),
    ],
)
def test_a_name_is_taken_apart(name: str, expected: GroupName) -> None:
    assert GroupName.parse(name) == expected
    assert re.search(PATTERN, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pared", "did you mean 'paired'"),
        ("pared:1/2", "did you mean 'paired'"),
        ("paired:", "written paired:1/2"),
        ("paired:1", "written paired:1/2"),
        ("paired:1/2/3", "written paired:1/2"),
        ("paired:a/b", "written paired:1/2"),
        ("paired: 1/2", "written paired:1/2"),
        ("paired:01/2", "written paired:1/2"),  # one name for one part
        ("paired:0/2", "written paired:1/2"),
        ("paired:1/2\n", "written paired:1/2"),
        ("paired:3/2", "no part 3 of 2"),
        ("paired:1/1", "no part 1 of 1"),
        ("", "known: paired, source, target, unpaired"),
    ],
)
def test_what_names_no_group_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match="there is no") as caught:
        GroupName.parse(name)
    assert said in str(caught.value)


@given(st.lists(st.text(), unique=True, max_size=12), st.sampled_from(GROUPS), st.integers(2, 5))
def test_parts_are_disjoint_and_make_up_the_whole(patients: list[str], base: str, parts: int) -> None:
    shares = [GroupName.parse(f"{base}:{part}/{parts}").share(patients) for part in range(1, parts + 1)]
    assert sorted(patient for share in shares for patient in share) == sorted(patients)
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert shares == [GroupName(base, n, parts).share(patients[::-1]) for n in range(1, parts + 1)]  # by name alone
    assert GroupName(base).share(patients) == tuple(patients)


def test_keys_of_random_numbers_are_all_different_and_those_of_whole_groups_one_number() -> None:
    assert [GroupName(base).key for base in GROUPS] == [(0,), (1,), (2,), (3,)]
    names = [f"{base}:{part}/{of}" for base in GROUPS for of in (2, 3) for part in range(1, of + 1)]
    assert len({GroupName.parse(name).key for name in (*GROUPS, *names)}) == len(GROUPS) + len(names)
