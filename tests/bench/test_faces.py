"""The bench of the faces in small: its servers start, and what it says of them is what they imported."""

import json
from pathlib import Path

import pytest

from bench import faces
from bench.faces import CORE, OFF, Start, differences, servers, start, table


def started(ready_s: float) -> Start:
    return Start(ready_s=ready_s, cpu_s=ready_s, ready_mb=50, used_mb=60, modules=900)


@pytest.mark.contract("FACE-14")
@pytest.mark.timeout(120)  # it starts two servers, on a machine that may be busy
def test_a_server_without_faces_imports_what_one_does_that_could_not_import_any(tmp_path: Path) -> None:
    found: dict[str, Start] = {}
    for name in (CORE, OFF):
        folder = tmp_path / name
        folder.mkdir()
        found[name] = start(servers()[name], folder, None)
    assert set(found[OFF].names) == set(found[CORE].names)
    assert not any(name.startswith("landline.faces.") for name in found[OFF].names)
    assert 10 < found[OFF].ready_mb < 1000
    assert found[OFF].modules == len(found[OFF].names) > 100


@pytest.mark.contract("FACE-14")
def test_a_face_that_is_there_too_early_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start_one(wanted: str, *_: object) -> Start:
        names = ("os",) if wanted == CORE else ("os", "landline.faces.mcp.routes", "mcp")
        return Start(ready_s=1, cpu_s=1, ready_mb=50, used_mb=60, modules=len(names), names=names)

    monkeypatch.setattr(faces, "start", start_one)
    assert faces.main(["--rounds", "1", "--only", "nothing", "--out", str(tmp_path)]) == 1
    assert "WRONG: with no face on there are landline.faces.mcp, mcp" in capsys.readouterr().out
    told = json.loads(next(tmp_path.glob("*.json")).read_text(encoding="utf-8"))
    assert told["packages"][OFF] == ["landline.faces.mcp", "mcp"]


def test_differences_are_of_the_same_round_and_their_middle_one_counts() -> None:
    rounds = [{"a": started(base + more), CORE: started(base)} for base, more in ((1, 1), (10, 2), (5, 9))]
    assert differences(rounds, "a", CORE)["ready_s"] == 2
    assert "2.000" in table([{"a": started(2), CORE: started(1)}], ["a"])
