"""The results of a dry run on the terminal."""

from __future__ import annotations

from typing import Any

from gantk.cli.console import write, write_json

__all__ = ["show_plans"]


def show_plans(built: dict[str, Any], as_json: bool) -> None:
    """Print what `gantk.dry_run` found, for one run or for all runs of a sweep."""
    if as_json:
        write_json(built)
    elif "runs" in built:
        _show_runs(built)
    else:
        _show_plan(built)


def _show_runs(built: dict[str, Any]) -> None:
    """Print what each run of a sweep would train, on how many patients, and the cost of all of them."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"sweep {built['recipe']}: built, nothing trained", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("run", overflow="fold")
    for column in ("parameters", "epochs", "paired", "unpaired", "target", "validation", "test", "s/step", "training"):
        table.add_column(column, justify="right")
    for name, plan in built["runs"].items():
        parts = [part for made in plan["translators"].values() for part in made.values() if isinstance(part, dict)]
        patients = [plan["patients"][role] for role in ("paired", "unpaired", "target", "validation", "test")]
        epochs = sum(stage["epochs"] for stage in plan["stages"])
        told = plan["forecast"]
        steps = " + ".join(f"{stage['seconds per step']:g}" for stage in told["stages"].values())
        time = told.get("training") or f"≤ {told['training at most']}" if "done by" in told else "?"
        numbers = [sum(part["parameters"] for part in parts), epochs, *patients]
        table.add_row(Text(name), *(f"{n:,}" for n in numbers), steps, time.partition(",")[0])
    write(table)
    write(f"{len(built['runs'])} runs, one after the other:")
    for what, said in built["forecast"].items():
        write(f"  {what}: {said}")


def _show_plan(built: dict[str, Any]) -> None:
    """Print what `gantk.dry_run` built, as a tree."""
    from rich.text import Text
    from rich.tree import Tree

    def grow(tree: Tree, content: Any) -> None:
        if isinstance(content, dict):
            for key, value in content.items():
                if isinstance(value, dict | list) and value and not _flat(value):
                    grow(tree.add(Text(str(key), "bold")), value)
                else:
                    tree.add(Text.assemble((f"{key}: ", "bold"), _plain(value)))
        else:
            for value in content:
                if isinstance(value, dict) and not _flat(value):
                    name = value.get("name") or value.get("use") or "·"
                    grow(tree.add(Text(str(name), "bold")), {k: v for k, v in value.items() if k != "name"})
                else:
                    tree.add(Text(_plain(value)))

    for stage in built["stages"]:
        stage["steps_per_epoch"] = stage["steps_per_epoch"] or "known once the images are read"
    root = Tree(Text(f"recipe {built.get('recipe')}: built, nothing trained", "bold"))
    grow(root, {key: value for key, value in built.items() if key != "recipe"})
    write(root)


def _flat(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return len(value) <= 6 and not any(isinstance(item, dict | list) and item for item in items)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
