"""A face that is switched off costs nothing (FACE-14)."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, packages_distributions, requires
from pathlib import Path

import pytest

import landline
from landline.app.settings import load_settings

SCRIPT = """
import json, sys
from landline.app.build import Landline
app = Landline([], open=True, faces=sys.argv[2].split(), data=sys.argv[1]).app
print(json.dumps(list(sys.modules)))
"""
FACES = {
    point.name: ".".join(point.value.partition(":")[0].split(".")[:3])
    for point in entry_points(group="landline.faces")
    if point.value.startswith("landline.faces.")
}
"""The unit of each of our own faces."""


@cache
def behind(unit: str) -> frozenset[str]:
    """Return the packages that a face imports anywhere in its folder and the project itself does not depend on."""
    folder = Path(landline.__file__).parent / Path(*unit.split(".")[1:])
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))]
    named: set[str] = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            named |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            named.add(str(node.module).partition(".")[0])
    always, known = _needed_anyway(), packages_distributions()
    return frozenset(
        name
        for name in named - sys.stdlib_module_names - {"landline"}
        if not always & set(map(_plain, known.get(name, ())))
    )


@cache
def _needed_anyway() -> frozenset[str]:
    """Return the distributions that come with the project, without its extras."""
    found: set[str] = set()
    left = ["landline"]
    while left:
        name = left.pop()
        try:
            lines = requires(name) or ()
        except PackageNotFoundError:
            continue  # of another system or an older Python
        new = {_plain(line) for line in lines if "extra ==" not in line} - found
        found |= new
        left += new
    return frozenset(found)


def _plain(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def loaded(folder: Path, faces: str) -> set[str]:
    """Return all that is imported once an app with these faces is made, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder, faces], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_what_stands_behind_a_face_is_found() -> None:
    """Otherwise the tests below would look for nothing."""
    assert behind(FACES["mcp"]) >= {"mcp", "mcp_types"}
    assert not behind(FACES["native"])


@pytest.mark.contract("FACE-14")
@pytest.mark.parametrize("on", ["", *sorted(FACES)])
def test_a_face_is_imported_only_when_it_is_switched_on_and_what_it_needs_with_it(
    tmp_path: Path, on: str
) -> None:
    found = loaded(tmp_path, on)
    unit = FACES.get(on)
    assert unit is None or f"{unit}.routes" in found
    off = set(FACES.values()) - {unit}
    needed = behind(unit) if unit else frozenset[str]()
    for other in off:
        assert other not in found
        assert not (behind(other) - needed) & found


@pytest.mark.contract("FACE-14")
def test_all_is_every_installed_face_the_native_one_first() -> None:
    faces = load_settings(faces="all").faces
    assert faces[0] == "native"
    assert set(faces) == set(entry_points(group="landline.faces").names) - {"mcp_everything"}
