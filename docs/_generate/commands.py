"""The command line, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from _generate.words import escape, table
from gantk.cli.main import app

__all__ = ["commands", "commands_page"]

INTRODUCTION = """# Commands

Made from the commands themselves; `gantk COMMAND --help` says the same.
Answers go to standard output and messages to standard error. Exit codes: 0 done, 1 failed, 2 bad recipe or usage,
130 interrupted.

"""


def commands() -> dict[str, Any]:
    """All commands by their words after `gantk`, without groups."""
    return dict(_walk(get_command(app)))


def _walk(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for key, inner in below.items():
        yield from _walk(inner, f"{name} {key}".strip())


def commands_page() -> str:
    """The page."""
    return INTRODUCTION + "\n".join(_section(name, command) for name, command in commands().items())


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(["gantk", name, *command.collect_usage_pieces(context)])
    lines = [f"## gantk {name} {{ #{name.replace(' ', '-')} }}\n", f"```text\n{usage}\n```\n"]
    lines += [escape(" ".join(p.split())) + "\n" for p in (command.help or "").split("\n\n")]
    records = [p.get_help_record(context) for p in command.params if "--help" not in p.opts]
    rows = [(f"`{' '.join(record[0].split())}`", escape(record[1])) for record in records if record]
    if rows:
        lines.append(table(("argument or option", "meaning"), rows))
    return "\n".join(lines)
