"""Checks and tests, each in an environment of its own: `nox` runs all, `nox -s tests` one."""

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "venv"

#: Every commit passes these; .pre-commit-config.yaml has the same.
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",))


@nox.session
def tests(session: nox.Session) -> None:
    """Lint, types, import contracts and the whole test suite, on this package as a user installs it."""
    session.install(".[test]")
    for check in CHECKS:
        session.run(*check)
    session.run("pytest", *(session.posargs or ["-n", "2", "--dist", "loadfile"]))


@nox.session
def campaign(session: nox.Session) -> None:
    """Many faults of every kind: kills, flipped bits, full disks, broken servers, fuzzed recipes, hostile names.

    Takes an hour or two and ends with a table of what was tried and what held; the test suite has a sample.
    `nox -s campaign -- -k flips` tries one kind. Full disks are tried only as root.
    """
    session.install(".[test]")
    whole = {"GANTK_CAMPAIGN": "whole", "OMP_NUM_THREADS": "1"}
    session.run("pytest", "tests/campaign", "-o", "timeout=0", "-n", "2", "--dist", "load", *session.posargs, env=whole)


@nox.session
def gpu(session: nox.Session) -> None:
    """The tests of a GPU and the benchmark of a step on it, on a machine that has one."""
    session.install(".[test]")
    session.run("pytest", "tests/cuda", "-rs", "-n", "8", "--dist", "load", *session.posargs)
    for precision in ("fp32", "bf16", "fp16"):
        session.run("python", "tests/bench/bench_step.py", "recipes/ds3_semi.toml", f'run.precision="{precision}"')
    for bench in ("overhead", "methods", "inference"):
        session.run("python", f"tests/bench/bench_{bench}.py", "--device", "cuda", "--rounds", "5")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site in build/site; a warning is an error."""
    session.install(".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def ui(session: nox.Session) -> None:
    """MLflow's interface and a sweep's report in headless Chromium, on a tiny sweep; writes pictures to docs/images.

    `nox -s ui -- look` leaves the pictures of the docs unchanged. Takes minutes; skipped where there is no browser.
    """
    session.install(".[test]")
    how = "look" if "look" in session.posargs else "write"
    rest = [argument for argument in session.posargs if argument != "look"]
    session.run("pytest", "tests/ui", "-rs", *rest, env={"GANTK_UI": how, "OMP_NUM_THREADS": "1"})
