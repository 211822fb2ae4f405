"""Credentials of an address, passed to MLflow through this process's environment, so that nobody else sees them."""

from __future__ import annotations

import os

from gantk.tracking.address import SERVERS, shown, taken_apart

__all__ = ["completed", "lend"]

#: The variable for a database's address with its credentials, for which MLflow has no variables.
DATABASE = "GANTK_TRACKING_DATABASE"

_lent_for = ""
_before: dict[str, str | None] = {}


def lend(uri: str) -> str:
    """Put an address's credentials where MLflow and child processes find them; return the address without them.

    Credentials may also come from `MLFLOW_TRACKING_URI` if it is the same address. Credentials set for another address
    are removed first.
    """
    global _lent_for
    bare, environment = shown(uri), os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri == bare and shown(environment) == bare:
        uri = environment
    if bare != _lent_for:
        for name, value in _before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        _before.clear()
        _lent_for = bare
    for name, value in _variables(uri).items():
        _before.setdefault(name, os.environ.get(name))
        os.environ[name] = value
    return bare


def completed(uri: str) -> str:
    """The address with the credentials that MLflow needs."""
    known = os.environ.get(DATABASE, "")
    return known if known and shown(known) == uri else uri


def _variables(uri: str) -> dict[str, str]:
    address = taken_apart(uri)
    if address.scheme not in SERVERS:
        return {} if address.bare == uri else {DATABASE: uri}
    given = {
        "MLFLOW_TRACKING_USERNAME": address.user,
        "MLFLOW_TRACKING_PASSWORD": address.password,
        "MLFLOW_TRACKING_TOKEN": address.token,
    }
    return {name: value for name, value in given.items() if value}
