"""What a stage's terms need, collected once."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from gantk.data.layout import Domain
from gantk.translation.plan import Known, StagePlan, Wanted, before_it
from gantk.translation.protocols import Needs
from gantk.translation.term import BalanceSlot, MapSlot, Term
from gantk.translation.translator import Translator

TAKES, GIVES = Domain("source", None, 3), Domain("target", None, 1)


@pytest.fixture
def translators() -> dict[str, Translator]:
    plain = {role: Translator(role, TAKES, GIVES, nn.Identity(), None, False) for role in ("one", "two")}
    plain["behind"] = Translator("behind", TAKES, GIVES, nn.Identity(), None, False, after={"one": 1})
    plain["last"] = Translator("last", TAKES, GIVES, nn.Identity(), None, False, after={"behind": 1, "two": 1})
    return plain


def term(role: str, needs: Needs | None = None, **more: Any) -> Term:
    return Term("t", role, more.pop("group", "paired"), None, needs=needs or Needs(), **more)


def test_layers_of_terms_on_one_image_come_together(translators: dict[str, Translator]) -> None:
    terms = [
        term("one", Needs(layers=(4, 1), output=False)),
        term("one", Needs(layers=(1, 2), output=False)),
        term("one", Needs(layers=(8,), output=False), group="unpaired"),
        term("one", Needs(layers=(9,)), stages=frozenset({"other"})),
        term("two", Needs(layers=(7,))),
    ]
    plan = StagePlan("s", ("one",), terms, {}, translators)
    assert plan.wanted == {
        ("one", Known("paired", TAKES)): Wanted((1, 2, 4), False),
        ("one", Known("unpaired", TAKES)): Wanted((8,), False),
    }
    assert plan.groups == ("paired", "unpaired")


def test_a_map_needs_the_output_where_it_is_active(translators: dict[str, Translator]) -> None:
    for stages, output in ((None, True), (frozenset({"other"}), False)):
        maps = {"hard": MapSlot("hard", None, stages)}
        plan = StagePlan("s", ("one",), [term("one", Needs(output=False), map="hard")], maps, translators)
        assert [wanted.output for wanted in plan.wanted.values()] == [output]


def test_a_chain_needs_the_outputs_of_all_before_it(translators: dict[str, Translator]) -> None:
    assert before_it(translators, "last") == ["one", "behind", "two"]
    plan = StagePlan("s", ("last",), [term("last")], {}, translators)
    assert {role: wanted.output for (role, _), wanted in plan.wanted.items()} == dict.fromkeys(translators, True)


def test_references_name_groups_and_other_roles_do_not(translators: dict[str, Translator]) -> None:
    terms = [term("one", references=("target.target", "two.output", "source"))]
    assert StagePlan("s", ("one",), terms, {}, translators).groups == ("paired", "target")


def test_every_judgment_has_the_layers_of_all_terms(translators: dict[str, Translator]) -> None:
    terms = [term("one", Needs(judged=(3, 0))), term("one", Needs(judged=(1,)))]
    assert StagePlan("s", ("one",), terms, {}, translators).judged == {"one": (0, 1, 3)}


def test_a_balance_of_a_role_that_is_not_trained_is_none(translators: dict[str, Translator]) -> None:
    balance = BalanceSlot(("t",), "two", "key", "balance")
    assert StagePlan("s", ("one",), [], {}, translators, balance=balance).balance is None
    assert StagePlan("s", ("one", "two"), [], {}, translators, balance=balance).balance is balance
