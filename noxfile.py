"""Checks and tests, each in an environment of its own: `nox` runs all, `nox -s tests` one."""

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "venv"


@nox.session
def tests(session: nox.Session) -> None:
    """Lint, types, import contracts and the whole test suite, on this package as a user installs it."""
    session.install(".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("pytest", *(session.posargs or ["-n", "2", "--dist", "loadfile"]))
