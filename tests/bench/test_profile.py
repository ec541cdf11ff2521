"""What a profile says: whose the samples are and which functions they end in, from stacks as the profiler writes them."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import profile
from bench.flame import flame
from bench.servers import Place

pytestmark = pytest.mark.contract("PRF-11")

STACKS = """\
main (/venv/lib/python3.11/site-packages/uvicorn/server.py:10);take (/app/src/landline/engine/log.py:7) 60
main (/venv/lib/python3.11/site-packages/uvicorn/server.py:12);loads (/usr/lib/python3.11/json/__init__.py:3) 30
run (/venv/lib/python3.11/asyncio/runners.py:1) 10
"""


def test_lines_of_one_function_are_one_and_folders_before_a_package_are_left_out() -> None:
    stacks = profile.folded(STACKS)
    assert stacks[("main (uvicorn/server.py)", "take (landline/engine/log.py)")] == 60
    assert sum(stacks.values()) == 100


def test_a_line_that_is_no_stack_is_left_out() -> None:
    assert profile.folded(STACKS + "(torn frame\nof text that says no count\n") == profile.folded(STACKS)


def test_what_the_standard_library_does_counts_for_its_caller() -> None:
    assert profile.owners(profile.folded(STACKS)) == {
        "landline": 0.6,
        "uvicorn": 0.3,
        "the interpreter and its standard library": 0.1,
    }


def test_a_function_is_counted_where_samples_end_and_where_they_pass() -> None:
    stacks = profile.folded(STACKS)
    assert profile.top(stacks, own=True)[0] == {"function": "take (landline/engine/log.py)", "share": 0.6}
    assert profile.top(stacks, own=False)[0] == {"function": "main (uvicorn/server.py)", "share": 0.9}
    assert "60.0%  landline" in profile.as_text(stacks)


def test_a_function_that_calls_itself_is_counted_once_a_sample() -> None:
    assert profile.top({("f (a/b.py)", "f (a/b.py)"): 4}, own=False) == [
        {"function": "f (a/b.py)", "share": 1.0}
    ]


def test_the_flame_graph_has_a_box_for_every_frame() -> None:
    drawn = flame(profile.folded(STACKS), "a < b")
    root = ElementTree.fromstring(drawn)
    titles = [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "all, 100.0%"
    assert sorted(titles[1:]) == [
        "loads (json/__init__.py), 30.0%",
        "main (uvicorn/server.py), 90.0%",
        "run (asyncio/runners.py), 10.0%",
        "take (landline/engine/log.py), 60.0%",
    ]


def test_without_the_profiler_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(RuntimeError, match="pip install py-spy"):
        profile.profile(Place(folder=tmp_path, server_core=None, instrument_core=None), [], [], tmp_path)
