"""`gantk list`."""

from __future__ import annotations

import json

import pytest

from command_line import call


@pytest.mark.parametrize("kind", ["loss", "losses"])
def test_list_gives_components_with_their_parameters(kind: str) -> None:
    components = {c["name"]: c for c in json.loads(call("list", kind, "l*", "--json").stdout)}
    assert {"l1", "l2", "lsgan"} <= components.keys()
    assert components["l1"]["plugin"] == "gantk_baselines"
    assert all(name.startswith("l") for name in components)
    assert "l1" in call("list", kind).stdout


def test_list_of_nothing_and_of_an_unknown_kind() -> None:
    assert json.loads(call("list", "losses", "zzz", "--json").stdout) == []
    wrong = call("list", "loses")
    assert wrong.exit_code == 2
    assert "losses" in wrong.stderr
    assert "generators" in json.loads(call("list", "--json").stdout)


def test_list_reads_well(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"losses", "generators"} <= json.loads(call("list", "--json").stdout).keys()
    assert [c["name"] for c in json.loads(call("list", "losses", "l?", "--json").stdout)] == ["l1", "l2"]
    assert "no name among the losses matches 'zz*'; known: " in call("list", "losses", "zz*").stderr
    monkeypatch.setenv("GANTK_DISABLE_PLUGINS", "gantk_ds3net")
    listed = {p["name"]: p for p in json.loads(call("plugins", "--json").stdout)}
    assert (listed["gantk_ds3net"]["state"], listed["gantk_ds3net"]["components"]) == ("disabled", 0)
    assert listed["gantk_core"]["components"] > 0
