"""A face that is switched off costs nothing (FACE-14)."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from landline.app.settings import load_settings

SCRIPT = """
import sys
from landline.app.build import Landline
app = Landline([], open=True, faces=sys.argv[2].split(), data=sys.argv[1]).app
print(sorted(name for name in sys.modules if name.startswith("landline.faces.")))
"""


def loaded(folder: Path, faces: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder, faces], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.contract("FACE-14")
def test_a_face_is_imported_only_when_it_is_switched_on(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").strip() == "[]"
    assert "landline.faces.native" in loaded(tmp_path, "native")
    assert "landline.faces.openai" not in loaded(tmp_path, "native")


@pytest.mark.contract("FACE-14")
def test_all_is_every_installed_face_the_native_one_first() -> None:
    faces = load_settings(faces="all").faces
    assert faces[0] == "native"
    assert set(faces) == set(entry_points(group="landline.faces").names) - {"mcp_everything"}
