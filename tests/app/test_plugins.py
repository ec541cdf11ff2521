"""Strangers' packages that are broken: said, and not in the way of the others (ADR 0008)."""

import logging
import sys
from importlib import import_module
from pathlib import Path

import pytest

from landline.app import plugins

BROKEN = "[landline.adapters]\nbroken = no_such_module_of_anybody:adapter\n"


@pytest.mark.contract("AGT-4")
def test_a_package_that_cannot_be_loaded_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = [adapter.framework for adapter in plugins.adapters()]
    info = tmp_path / "strange-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(BROKEN)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with caplog.at_level(logging.ERROR):
        assert [adapter.framework for adapter in plugins.adapters()] == found
    assert "the adapter broken of strange cannot be loaded" in caplog.text
    assert found[-1] == "plain"


@pytest.mark.contract("ADP-12")
def test_adapters_load_again_after_their_modules_were_imported() -> None:
    """A module of a unit must not come to stand where its adapter stood."""
    for name in ("a2a", "fastagency"):
        import_module(f"landline.adapters.remote.{name}")
    assert all(hasattr(adapter, "matches") for adapter in plugins.adapters())
