"""The order in which patients are drawn."""

from __future__ import annotations

from collections import Counter

from gantk.data.draw import drawn

NAMES = [f"p{number:02d}" for number in range(40)]


def test_the_order_is_fixed_by_names_and_seed_for_good() -> None:
    assert drawn(NAMES[:6], 3) == ["p00", "p01", "p02", "p05", "p04", "p03"]
    assert sorted(drawn(NAMES, 3)) == NAMES
    assert drawn(NAMES, 3) != drawn(NAMES, 4)


def test_any_run_of_the_order_has_about_the_share_of_each_stratum() -> None:
    strata = dict.fromkeys(NAMES[:10], "small") | dict.fromkeys(NAMES[10:], "large")
    order = drawn(NAMES, 0, strata)
    for start in range(0, 40, 8):
        assert Counter(strata[name] for name in order[start : start + 8])["small"] == 2


def test_names_without_a_stratum_form_one() -> None:
    order = drawn(NAMES, 0, dict.fromkeys(NAMES[20:], "site"))
    assert sum(name in NAMES[:20] for name in order[:10]) == 5
