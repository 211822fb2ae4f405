"""Credentials of an address are lent to MLflow, and taken back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gantk.tracking import credentials
from gantk.tracking.credentials import completed, lend
from gantk.tracking.store import resolve_uri

pytestmark = pytest.mark.usefixtures("nothing_lent")


def test_credentials_are_lent_and_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "before")
    assert resolve_uri(tmp_path, "http://me:p%40ss@host?token=t0") == "http://host"
    lent = [os.environ[f"MLFLOW_TRACKING_{name}"] for name in ("USERNAME", "PASSWORD", "TOKEN")]
    assert lent == ["me", "p@ss", "t0"]
    assert resolve_uri(tmp_path, "http://host") == "http://host"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "p@ss"
    resolve_uri(tmp_path, "http://other")  # another server gets none of them
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "before"
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ
    assert "MLFLOW_TRACKING_TOKEN" not in os.environ


def test_the_environment_has_the_credentials_of_a_remembered_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:pw@host/")
    assert resolve_uri(tmp_path, "http://host/") == "http://host/"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "pw"


def test_a_database_is_reached_with_its_credentials() -> None:
    uri = "mysql+pymysql://me:pw@host/db"
    assert lend(uri) == "mysql+pymysql://host/db"
    assert completed("mysql+pymysql://host/db") == uri
    assert completed("mysql+pymysql://other/db") == "mysql+pymysql://other/db"
    lend("http://host")
    assert completed("mysql+pymysql://host/db") == "mysql+pymysql://host/db"
    assert credentials.DATABASE not in os.environ
