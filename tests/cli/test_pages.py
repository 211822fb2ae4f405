"""Help pages of groups show the whole first paragraph of each command."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from gantk.cli.pages import Group

LONG = "Make " + " ".join(["one", "two", "three"] * 12) + " and the last."


def test_summaries_are_not_cut_and_hidden_commands_not_shown() -> None:
    app = typer.Typer(cls=Group, rich_markup_mode=None, add_completion=False)
    app.command("long", help=f"{LONG}\n\nA second paragraph.")(lambda: None)
    app.command("short", help="Do it.")(lambda: None)
    app.command("secret", help="Say nothing.", hidden=True)(lambda: None)
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert LONG in shown
    assert "Do it." in shown
    assert "second paragraph" not in shown
    assert "secret" not in shown
