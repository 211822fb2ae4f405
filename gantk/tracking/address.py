"""Addresses of MLflow stores as text: their validity, and the part without secrets."""

from __future__ import annotations

import os
import re
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from gantk.errors import RecipeError
from gantk.recipe.model import TrackingSettings

__all__ = ["CREDENTIALS", "DATABASES", "SERVERS", "Address", "check_recipe", "fault", "shown", "taken_apart"]

SERVERS = ("http", "https")
DATABASES = ("postgresql", "mysql", "mssql")
#: Parameters of a database's address that are not secret; any other parameter may be secret.
HARMLESS = (
    "application_name", "cache", "charset", "connect_timeout", "driver", "encrypt", "mode", "sslmode", "timeout",
    "trustservercertificate", "uri", "vfs",
)  # fmt: skip
#: Advice on how to give credentials outside the address.
CREDENTIALS = (
    "give them in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, in MLFLOW_TRACKING_TOKEN, or in "
    "~/.mlflow/credentials; for a database, in MLFLOW_TRACKING_URI"
)


class Address(NamedTuple):
    """An address: `bare` has no secrets; `user`, `password` and `token` are unescaped."""

    bare: str
    scheme: str
    user: str
    password: str
    token: str


def shown(uri: str) -> str:
    """The address without user, password or any parameter that may be secret, safe to write to files."""
    return taken_apart(uri).bare


def taken_apart(uri: str) -> Address:
    """Separate an address into the address without credentials, and the credentials."""
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return Address(uri, "", "", "", "")
    scheme = scheme.lower()
    server = scheme in SERVERS
    rest, question, query = (rest.partition("#")[0] if server else rest).partition("?")
    authority, slash, path = rest.partition("/")
    user, _, host = authority.rpartition("@")
    name, _, password = user.partition(":")
    kept = [] if server else [p for p in query.split("&") if p.partition("=")[0].lower() in HARMLESS]
    given = {key.lower(): value for key, value in parse_qsl(query)}
    return Address(
        f"{scheme}://{host}{slash}{path}" + (question + "&".join(kept) if kept else ""),
        scheme,
        unquote(name),
        unquote(password),
        given.get("token") or given.get("access_token") or "",
    )


def fault(uri: str) -> tuple[str, str] | None:
    """Why an address is invalid for an MLflow store, and what to write; None if it is valid. Contains no secrets."""
    if not uri.strip():
        return "it is empty", "write an address, or omit the key"
    if uri == "databricks" or uri.startswith("databricks://"):
        return _missing_package("databricks.sdk", "databricks-sdk")
    if uri in ("uc", "databricks-uc") or uri.startswith(("uc:", "databricks-uc:")):
        return "Unity Catalog holds models, not runs", "write databricks"
    scheme, colon, rest = uri.partition(":")
    scheme, _, driver = scheme.lower().partition("+")
    if not colon or scheme == "file" or len(scheme) == 1:  # a path, possibly with a drive letter
        if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
            return None
        return "MLflow no longer keeps runs in plain folders", "write sqlite:///PATH.db, or a server's http://HOST:PORT"
    if scheme == "sqlite":
        return _sqlite_fault(rest)
    if scheme in SERVERS and not driver:
        return _network_fault(uri, host=True)
    if scheme in DATABASES:
        return _network_fault(uri, host=False) or _missing_driver(uri)
    if scheme in {entry.name for entry in entry_points(group="mlflow.tracking_store")}:
        return None
    if scheme == "arn":  # registered by that package
        return _missing_package("sagemaker_mlflow", "sagemaker-mlflow")
    if re.match(r"\d+(/|$)", rest):
        return "it has no scheme", f"write http://{uri}"
    known = ", ".join((*SERVERS, "sqlite", *DATABASES, "databricks"))
    return f"MLflow has no stores with the scheme {scheme!r}", f"use one of {known}"


def check_recipe(settings: TrackingSettings) -> None:
    """Reject a recipe's address if it is invalid or has credentials, because recipes are copied to many places.

    Raises:
        RecipeError: the address is rejected.
    """
    if settings.uri is None:
        return
    if shown(settings.uri).lower() != settings.uri.lower():
        raise RecipeError(
            "a recipe must not contain credentials",
            where="tracking.uri",
            why="it is copied into the run's folder, checkpoints, reports and MLflow",
            mend=f"remove them and {CREDENTIALS}",
        )
    problem = fault(settings.uri)
    if problem:
        why, mend = problem
        raise RecipeError("this is not a valid address of an MLflow store", where="tracking.uri", why=why, mend=mend)


def _sqlite_fault(rest: str) -> tuple[str, str] | None:
    path = rest.partition("?")[0]
    if not path.startswith("///"):
        return "the address of a file needs three slashes before the path", "write sqlite:///PATH.db"
    if path[3:] in ("", ":memory:"):
        return "a database in memory is lost when the process ends", "write sqlite:///PATH.db"
    return None


def _network_fault(uri: str, host: bool) -> tuple[str, str] | None:
    mend = "write SCHEME://HOST:PORT, and / ? # @ in a password as %2F %3F %23 %40"
    after = uri.partition("://")[2]
    authority = re.split(r"[/?#]", after, maxsplit=1)[0]
    try:
        parts = urlsplit(uri)
        named = bool(parts.hostname)
        parts.port  # noqa: B018  raises if it is not a valid port number
    except ValueError:
        return "its host or port cannot be read", mend
    if not uri[len(parts.scheme) :].startswith("://") or (host and not named) or re.search(r"[\s\x00-\x1f]", uri):
        return "it has no host", mend
    if "@" in after[len(authority) :]:
        return "it has an @ after the host", mend
    return None


def _missing_package(module: str, distribution: str) -> tuple[str, str] | None:
    """What to install before MLflow can use a third-party store."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # the parent package is missing
        found = None
    return None if found else ("its package is not installed", f"pip install {distribution}")


def _missing_driver(uri: str) -> tuple[str, str] | None:
    """What to install before a database can be used."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        dialect = make_url(uri).get_dialect()
        dialect.import_dbapi()
    except ArgumentError as error:  # includes NoSuchModuleError
        return str(error), "write SCHEME+DRIVER://HOST:PORT/DATABASE with a driver that SQLAlchemy knows"
    except ImportError as error:
        return f"its driver is not installed: {error}", f"pip install {error.name}"
    return None
