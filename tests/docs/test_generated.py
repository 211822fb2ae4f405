"""The generated pages say everything, the site's map leads everywhere, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import gantk
import gantk.testing
from gantk.plugins import KINDS, Registry, load_plugins

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(pages: dict[str, str], generated: dict[str, str]) -> dict[str, str]:
    """All pages of the site."""
    return {name: text for name, text in pages.items() if not name.startswith("..")} | generated


def section(page: str, anchor: str) -> str:
    """A page's part below a heading with this anchor."""
    _, _, rest = page.partition(f"{{ #{anchor} }}")
    assert rest, anchor
    return rest.partition("\n## ")[0]


def test_every_key_is_there_and_explained(generated: dict[str, str]) -> None:
    from _generate.recipe_keys import keys

    page = generated["reference/recipe-keys.md"]
    found = dict(keys())
    assert {"run.seed", "data.split.ratio", "losses.NAME.weight", "translators.ROLE.optimizer.rates"} <= found.keys()
    for key in found:
        place, _, name = key.rpartition(".")
        assert f"`{name}`" in section(page, place.replace(".", "-").lower() or "top"), key
    assert not [key for key, said in found.items() if not said]


def test_every_component_and_parameter_is_there(generated: dict[str, str]) -> None:
    registry: Registry = load_plugins().registry
    for component in registry:
        page = generated[f"reference/components/{KINDS[component.kind].plural}.md"]
        entry = section(page, component.name)
        assert component.plugin in entry
        for parameter in component.parameters:
            assert f"| `{parameter.name}` |" in entry, (component.name, parameter.name)


def test_types_and_defaults_are_as_in_toml(generated: dict[str, str]) -> None:
    unet = section(generated["reference/components/generators.md"], "unet")
    assert '| `norm` | "instance", "batch", "none" |' in unet
    assert "| `layers` | list of integers ≥ 0" in section(generated["reference/components/losses.md"], "patch_nce")
    phases = section(generated["reference/components/schedulers.md"], "phases")
    assert "| `phases.epochs` | integer | required |" in phases
    assert "| `phases.copies.source` | name of a translator | required |" in phases
    keys = generated["reference/recipe-keys.md"]
    assert "| `crop` | 2 × integer ≥ 1, ≤ 16384 | `[224, 224]` |" in keys
    assert "| `paired_fraction` | number ≥ 0, ≤ 1 | `1` |" in keys
    assert "| `compile` | true or false | `false` |" in keys


def test_every_command_and_public_name_is_there(generated: dict[str, str]) -> None:
    from _generate.api import names
    from _generate.commands import commands

    assert {"run", "validate", "table", "data phantom"} <= commands().keys()
    for name, command in commands().items():
        entry = section(generated["reference/commands.md"], name.replace(" ", "-"))
        for parameter in command.params:
            if parameter.param_type_name == "option" and "--help" not in parameter.opts:
                assert max(parameter.opts, key=len) in entry, (name, parameter.opts)
    for name in names(gantk):
        assert f"heading: gantk.{name}\n" in generated["reference/api.md"]
    for name in gantk.testing.__all__:
        assert f"heading: gantk.testing.{name}\n" in generated["reference/testing.md"]


def test_directives_name_what_there_is(generated: dict[str, str]) -> None:
    from importlib import import_module

    for page in ("reference/api.md", "reference/testing.md"):
        for place in re.findall(r"^::: (\S+)$", generated[page], re.MULTILINE):
            module, _, name = place.rpartition(".")
            assert hasattr(import_module(module), name), place


def test_the_map_has_every_page_once(site: dict[str, str]) -> None:
    def leaves(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [leaf for inner in (entry.values() if isinstance(entry, dict) else entry) for leaf in leaves(inner)]  # type: ignore[attr-defined]

    named = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(named) == sorted(site)


def test_links_lead_somewhere(site: dict[str, str]) -> None:
    for name, text in site.items():
        prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#[^)]*)?\)", prose):
            path = ((ROOT / "docs" / name).parent / target).resolve() if target else ROOT / "docs" / name
            below = path.relative_to(ROOT / "docs").as_posix()
            assert below in site or path.is_file(), f"{name}: {target}"
