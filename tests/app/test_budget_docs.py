"""What docs/budgets.md shows is run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from landline.app.settings import load_settings
from landline.gates.budgets import Rule

TEXT = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return found


@pytest.mark.contract("TRU-9", "CLI-3")
def test_the_settings_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "landline.toml").write_text(block("toml"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert len([Rule.of(rule) for rule in settings.budgets]) == 8
    assert settings.prices == {"my-model": (0.5, 1.5)}


@pytest.mark.contract("TRU-9", "TRU-10")
def test_the_program_runs(tmp_path: Path) -> None:
    program = f"DATA = {str(tmp_path)!r}\n{block('python')}"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=tmp_path)
