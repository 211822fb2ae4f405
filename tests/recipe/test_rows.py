"""Rows of tables, as a sweep writes them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gantk.recipe.rows import read_rows, write_rows


@given(
    st.one_of(
        st.lists(st.text(), unique=True),
        st.lists(st.tuples(st.text(), st.text(min_size=1)), unique_by=(lambda p: p[0], lambda p: p[1])).map(dict),
    )
)
def test_rows_survive_json(said: list[str] | dict[str, str]) -> None:
    assert json.loads(json.dumps(write_rows(read_rows(said)))) == (said or [])
