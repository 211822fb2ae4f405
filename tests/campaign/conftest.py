"""The campaign of faults: a sample runs in the ordinary suite, all of it in `nox -s campaign`.

Every test tries one kind of harm many times. All that is drawn comes from one seed, so that a failure happens again:

    GANTK_CAMPAIGN=whole GANTK_CAMPAIGN_TRY=17 pytest tests/campaign/test_flips.py -k slices

`GANTK_CAMPAIGN` is `sample` (the default) or `whole`, `GANTK_CAMPAIGN_SEED` another seed than 0, and
`GANTK_CAMPAIGN_TRY` the number of the one try to be made.
"""

from __future__ import annotations

import os
import random
import shlex
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tiny_runs import *  # noqa: F403  fixtures

WHOLE = os.environ.get("GANTK_CAMPAIGN", "sample") == "whole"
SEED = os.environ.get("GANTK_CAMPAIGN_SEED", "0")
ONLY = os.environ.get("GANTK_CAMPAIGN_TRY")


@dataclass
class Try:
    """One fault.

    Attributes:
        number: the number with which to repeat it.
        random: draws the fault; the same number and seed give the same fault.
        done: a description of the fault.
    """

    number: int
    random: random.Random
    done: str = ""


@dataclass
class Harms:
    """The faults that a test tries, and how many were withstood."""

    test: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    known: int = 0

    def next(self, done: str) -> Try:
        """A try whose fault was drawn elsewhere."""
        return Try(self.tried, random.Random(), done)

    def tries(self, sample: int, whole: int) -> Iterator[Try]:
        """A number of tries, or only the requested one."""
        for number in [int(ONLY)] if ONLY else range(whole if WHOLE else sample):
            yield Try(number, random.Random(f"{SEED} {self.test} {number}"))

    @contextmanager
    def trying(self, one: Try) -> Iterator[None]:
        """Count a try and its outcome; failures are reported at the end."""
        self.tried += 1
        try:
            yield
        except pytest.skip.Exception:
            self.tried -= 1
            raise
        except (Exception, pytest.fail.Exception):
            variables = {"GANTK_CAMPAIGN": "whole", "GANTK_CAMPAIGN_SEED": SEED, "GANTK_CAMPAIGN_TRY": one.number}
            command = " ".join(f"{name}={value}" for name, value in variables.items())
            again = f"{command} python -m pytest {shlex.quote(self.test)}"
            self.failures.append(f"{one.done}\n{traceback.format_exc(limit=-4)}\nagain: {again}\n")

    def count(self, outcome: str) -> None:
        """Count how a try ended."""
        self.outcomes[outcome] += 1

    def not_held(self, outcome: str) -> None:
        """Count a known and open problem: it does not fail the test, and does not count as withstood."""
        self.known += 1
        self.count(outcome)

    @property
    def held(self) -> int:
        """The tries that were withstood."""
        return self.tried - len(self.failures) - self.known


@pytest.fixture
def harms(request: pytest.FixtureRequest) -> Harms:
    """Counts the tries of the test; the test fails at its end if one was not withstood."""
    return Harms(request.node.nodeid)


@dataclass(frozen=True)
class Campaign:
    """The size of the campaign, and its seed."""

    seed: int

    def count(self, sample: int, whole: int) -> int:
        return whole if WHOLE else sample


@pytest.fixture(scope="session")
def campaign() -> Campaign:
    return Campaign(int(SEED))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Report the faults of a test when it ends."""
    harms = pyfuncitem.funcargs.get("harms")
    try:
        result = yield
    finally:
        if harms is not None:
            row = [harms.test.rpartition("/")[2], harms.tried, harms.held, dict(harms.outcomes)]
            pyfuncitem.user_properties.append(("campaign", row))
    if harms is not None and harms.failures:
        pytest.fail("\n".join([f"{harms.held} of {harms.tried} held", *harms.failures[:10]]), pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the tries and the withstood ones, by test."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())]
    rows = {r.nodeid: v for r in reports for k, v in getattr(r, "user_properties", ()) if k == "campaign"}
    if not rows:
        return
    terminalreporter.section(f"hostile campaign: {'whole' if WHOLE else 'sample'}, seed {SEED}")
    for test, tried, held, outcomes in rows.values():
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        terminalreporter.write_line(f"{tried:6} tried {held:6} held  {test}{f': {said}' if said else ''}")
    totals = [sum(row[k] for row in rows.values()) for k in (1, 2)]
    terminalreporter.write_line(f"{totals[0]:6} tried {totals[1]:6} held  in all")
