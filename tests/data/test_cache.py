"""The folder of the slice cache."""

from __future__ import annotations

from gantk.data.cache import gantk_cache_dir


def test_the_cache_folder_follows_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTK_CACHE", str(tmp_path))
    assert gantk_cache_dir() == tmp_path
    monkeypatch.delenv("GANTK_CACHE")
    assert gantk_cache_dir().is_absolute()
    assert "gantk" in gantk_cache_dir().parts
