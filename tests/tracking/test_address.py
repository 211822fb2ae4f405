from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gantk.errors import RecipeError, TrackingError, UsageError, redact
from gantk.recipe.model import TrackingSettings
from gantk.tracking.address import check_recipe, fault, shown, taken_apart
from gantk.tracking.store import resolve_uri

pytestmark = pytest.mark.usefixtures("nothing_lent")

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("foo://bar", "scheme 'foo'"),
        ("htp://host", "scheme 'htp'"),
        ("localhost:5000", "has no scheme"),
        ("localhost:5000/path", "has no scheme"),
        ("http://", "no host"),
        ("http:/host", "no host"),
        ("https:///path", "no host"),
        ("http://ho st", "no host"),
        ("http://host:99999", "port"),
        ("http://host:port", "port"),
        ("http://[::1", "cannot be read"),
        ("http+x://host", "scheme 'http'"),
        ("mysql:host", "no host"),
        ("postgresql+nothing://host/db", "postgresql.nothing"),
        ("sqlite://runs/mlflow.db", "three slashes"),
        ("sqlite:mlflow.db", "three slashes"),
        ("sqlite://", "three slashes"),
        ("sqlite:///:memory:", "in memory"),
        ("file:///tmp/mlruns", "plain folders"),
        ("./mlruns", "plain folders"),
        ("C:\\mlruns", "plain folders"),
        ("uc:http://host", "Unity Catalog"),
        ("databricks-uc", "Unity Catalog"),
    ],
)
def test_where_no_store_can_be(uri: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=reason) as option:
        resolve_uri(tmp_path, uri)
    assert "--tracking-uri" in str(option.value)
    with pytest.raises(RecipeError, match=reason):
        check_recipe(TrackingSettings(uri=uri))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UsageError, match=f"MLFLOW_TRACKING_URI.*{reason}"):
        resolve_uri(tmp_path)


@pytest.mark.parametrize("uri", ["", " "])
def test_an_empty_address_is_no_default(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"--tracking-uri.*it is empty"):
        resolve_uri(tmp_path, uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # as a shell unsets it
    assert resolve_uri(tmp_path).startswith("sqlite:")


@pytest.mark.parametrize(
    ("uri", "module", "package"),
    [
        ("databricks", "databricks.sdk", "databricks-sdk"),
        ("databricks://profile", "databricks.sdk", "databricks-sdk"),
        ("arn:aws:sagemaker:us-east-1:1:mlflow-tracking-server/a", "sagemaker_mlflow", "sagemaker-mlflow"),
    ],
)
def test_a_maker_whose_package_is_missing_is_said(
    uri: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert fault(uri) == ("its package is not installed", f"pip install {package}")


def test_a_driver_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    problem = fault("postgresql+psycopg2://host/db")
    assert problem is not None
    assert "psycopg2" in problem[0]
    assert problem[1] == "pip install psycopg2"


@pytest.mark.parametrize(
    "uri",
    ["http://h", "HTTPS://h:5000/mlflow", "http://[::1]:80", "http://h_1", "sqlite:///a b.db", "sqlite:////a@b.db",
     "databricks", "databricks://profile"],
)  # fmt: skip
def test_where_one_can(uri: str) -> None:
    assert fault(uri) is None
    assert shown(uri) == uri.replace("HTTPS", "https")


def test_plain_folders_where_mlflow_is_told_to_allow_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert fault("file:///tmp/mlruns") is None


@pytest.mark.parametrize(
    ("uri", "bare"),
    [
        (f"https://me:{SECRET}@host:5000/x", "https://host:5000/x"),
        (f"https://{SECRET}@host", "https://host"),
        (f"https://me:a@b{SECRET}@host", "https://host"),
        (f"http://host/?token={SECRET}", "http://host/"),
        (f"http://host/x?whatever={SECRET}#{SECRET}", "http://host/x"),
        (f"postgresql://me:{SECRET}@host/db?sslmode=require&password={SECRET}", "postgresql://host/db?sslmode=require"),
        (f"mssql+pyodbc:///?odbc_connect=PWD%3D{SECRET}", "mssql+pyodbc:///"),
        (f"sqlite:////a/m.db?mode=rw&key={SECRET}", "sqlite:////a/m.db?mode=rw"),
    ],
)
def test_what_may_be_written_down(uri: str, bare: str) -> None:
    assert shown(uri) == bare
    assert SECRET not in redact(f"cannot reach {uri}: refused") or "whatever" in uri
    assert shown(bare) == bare
    with pytest.raises(RecipeError, match=r"must not contain credentials.*MLFLOW_TRACKING_PASSWORD") as error:
        check_recipe(TrackingSettings(uri=uri))
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("uri", [f"http://me:{SECRET}/x@host", f"http://me:1/{SECRET}@host", f"foo://me:{SECRET}@h"])
def test_a_refused_address_shows_no_secret(uri: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        resolve_uri(tmp_path, uri)
    assert SECRET not in str(error.value)


def test_no_error_carries_credentials() -> None:
    error = TrackingError("no", where=f"https://me:{SECRET}@host", why=f"url: /api?x=1&access_token={SECRET}")
    assert SECRET not in str(error)
    assert "https://…@host" in str(error)
    assert redact("git@host:/a sqlite:////home/a@b/m.db?mode=rw") == "git@host:/a sqlite:////home/a@b/m.db?mode=rw"


def test_parts_as_they_are_meant() -> None:
    address = taken_apart("http://me:p%2Fw@host?access_token=t%20t")
    assert (address.user, address.password, address.token) == ("me", "p/w", "t t")
