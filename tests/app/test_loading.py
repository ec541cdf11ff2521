"""Loading: what a file holds is found, and what is broken is listed without stopping the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from landline.app.agents import agent
from landline.app.loading import AgentsClash, Loaded, adopt, load_agents, load_all
from landline.ports.adapter import Adapter

pytestmark = pytest.mark.contract("AGT-1")


class ByClassName:
    """An adapter that takes objects by the name of their class, as the real ones do."""

    def __init__(self, framework: str, *names: str) -> None:
        self.framework = framework
        self.names = names

    def matches(self, agent: Any) -> bool:
        return type(agent).__name__ in self.names


TOY = cast("Adapter", ByClassName("toy", "Toy"))
PLAIN = cast("Adapter", ByClassName("plain", "function"))
ADAPTERS = (PLAIN, TOY)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of its own; modules imported from it are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def names(found: list[Loaded]) -> list[str]:
    return [item.name for item in found]


MIXED = """
import landline
class Toy: pass
def helper(x): return x
def echo(run): return run.input
support = Toy()
_private = Toy()
inner = Toy()
wrapped = landline.agent(inner, name="outer")
spoken = landline.agent(echo, name="echo")
alias = support
"""


def test_a_file_gives_its_described_agents_and_its_framework_objects(folder: Path) -> None:
    """Functions, private names and what a described agent wraps are not agents of their own."""
    found = load_agents(write(folder, "mixed_a.py", MIXED), ADAPTERS)
    assert names(found) == ["outer", "echo", "support"]
    assert [item.adapter for item in found] == [TOY, PLAIN, TOY]
    assert all(item.error is None for item in found)


def test_an_attribute_chooses_one_and_makes_a_function_an_agent(folder: Path) -> None:
    """Named outright, a plain function is meant."""
    target = write(folder, "mixed_b.py", MIXED)
    assert names(load_agents(f"{target}:helper", ADAPTERS)) == ["helper"]
    assert names(load_agents(f"{target}:support", ADAPTERS)) == ["support"]
    assert names(load_agents("mixed_b:wrapped", ADAPTERS)) == ["outer"]


def test_a_list_of_described_agents_is_taken_whole(folder: Path) -> None:
    """Agents are often made in a loop."""
    text = "import landline\ndef f(run): ...\nall_of = [landline.agent(f, name=n) for n in ('a', 'b')]\n"
    target = write(folder, "listed.py", text)
    assert names(load_agents(target, ADAPTERS)) == ["a", "b"]
    assert names(load_agents(f"{target}:all_of", ADAPTERS)) == ["a", "b"]


def test_a_landline_gives_its_agents(folder: Path) -> None:
    """The same file is mounted into an application and served from the command line."""
    text = (
        "import landline\n"
        "class Toy: pass\n"
        "Landline = type('Landline', (), {'__module__': 'landline.app.build'})\n"
        "app = Landline()\nspec = None\n"
        "app.agents = [landline.agent(Toy(), name='inside')]\n"
    )
    target = write(folder, "application.py", text)
    assert names(load_agents(target, ADAPTERS)) == ["inside"]
    assert names(load_agents(f"{target}:app", ADAPTERS)) == ["inside"]


def test_what_a_landline_holds_beside_agents_is_said_not_to_be_served(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An authenticator that is left out without a word would leave a door open."""
    text = "import landline\nclass Toy: pass\napp = landline.Landline([], open=True, router=lambda *_: 'a', port=1)\n"
    load_agents(write(folder, "whole.py", text), ADAPTERS)
    assert "router, port" in caplog.text


def test_a_file_finds_its_neighbours_and_its_package(folder: Path) -> None:
    """Imports work as they do when Python runs the file."""
    write(folder, "sub/neighbour.py", "class Toy: pass\n")
    assert names(
        load_agents(write(folder, "sub/near.py", "from neighbour import Toy\none = Toy()\n"), ADAPTERS)
    ) == ["one"]
    write(folder, "pack_x/__init__.py", "")
    write(folder, "pack_x/parts.py", "class Toy: pass\n")
    target = write(folder, "pack_x/main.py", "from .parts import Toy\ntwo = Toy()\n")
    assert names(load_agents(target, ADAPTERS)) == ["two"]
    assert load_agents("pack_x.main:two", ADAPTERS)[0].spec is not None


def test_two_files_of_one_name_are_two_modules(folder: Path) -> None:
    """The second must not get the first one's agents."""
    one = write(folder, "x/same.py", "class Toy: pass\na = Toy()\n")
    two = write(folder, "y/same.py", "class Toy: pass\nb = Toy()\n")
    assert names(load_all([one, two], ADAPTERS)) == ["a", "b"]


@pytest.mark.contract("AGT-4")
@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("x = 1\nimport nowhere_to_be_found\n", "No module named 'nowhere_to_be_found'", "bad.py:2"),
        ("def f(:\n", "SyntaxError", "bad.py:1"),
        ("\n\ndef f():\n    raise RuntimeError('hush')\nf()\n", "RuntimeError", "bad.py:4"),
        ("import sys\nsys.exit(3)\n", "SystemExit", "bad.py:2"),
        ("import json\njson.loads('{')\n", "JSONDecodeError", "bad.py:2"),
        ("x = 1\n", "no agent found", "bad.py"),
    ],
)
def test_a_broken_file_is_listed_with_its_line_and_the_others_load(
    folder: Path, text: str, message: str, where: str
) -> None:
    """The line is the user's own, not the library's; a caller is not shown what an exception says."""
    bad = write(folder, "bad.py", text)
    good = write(folder, "good.py", "class Toy: pass\nfine = Toy()\n")
    broken, fine = load_all([bad, good], ADAPTERS)
    assert (broken.name, broken.spec) == ("bad", None)
    assert broken.error is not None
    assert message in broken.error.message
    assert "hush" not in broken.error.message
    assert broken.error.where == where
    assert (fine.name, fine.error) == ("fine", None)


def test_a_missing_file_attribute_or_module_is_a_broken_entry(folder: Path) -> None:
    """What is named on the command line is never left out silently."""
    target = write(folder, "present.py", "class Toy: pass\nsupport = Toy()\n")
    for missing, part in [
        ("gone.py", "FileNotFoundError"),
        (f"{target}:suport", "did you mean 'support'?"),
        ("no_such_module_x", "No module named"),
    ]:
        (found,) = load_agents(missing, ADAPTERS)
        assert found.error is not None
        assert part in found.error.message


LAZY = """
def __getattr__(name):
    import sys
    if name == "late":
        return sys.no_such_thing
    if name == "later":
        import no_such_module_x
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
"""


def test_what_breaks_in_an_attribute_made_late_is_told_as_it_is(folder: Path) -> None:
    """A module may import more when it is asked for a name; what goes wrong there is not a missing name."""
    target = write(folder, "lazy.py", LAZY)
    for name, part in [
        ("late", "AttributeError: module 'sys' has no attribute 'no_such_thing'"),
        ("later", "ModuleNotFoundError: No module named 'no_such_module_x'"),
        ("gone", "lazy.py has no 'gone'"),
    ]:
        (found,) = load_agents(f"{target}:{name}", ADAPTERS)
        assert found.error is not None
        assert part in found.error.message


def test_a_file_that_hides_the_package_it_imports_is_told_so(folder: Path) -> None:
    """`agents.py` beside the framework of that name is the usual accident."""
    (found,) = load_agents(write(folder, "hiding.py", "from hiding import Agent\n"), ADAPTERS)
    assert found.error is not None
    assert "rename the file" in found.error.message


@pytest.mark.contract("AGT-1")
def test_a_file_called_like_an_installed_package_does_not_hide_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`agents.py` with `from agents import Agent` is what a user of that framework writes first."""
    near_by = write(folder, "near_by.py", "class Toy: pass\nother = Toy()\n")
    assert names(load_agents(near_by, ADAPTERS)) == ["other"]
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    text = "from colorsys import rgb_to_hsv\nfrom near_by import Toy\none = Toy()\n"
    target = write(folder, "colorsys.py", text)
    assert names(load_agents(target, ADAPTERS)) == ["one"]
    assert names(load_agents(target, ADAPTERS)) == ["one"]


def test_a_missing_framework_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ADP-10: the answer is a command."""
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    (found,) = load_agents(write(folder, "needs.py", "import pydantic_ai\n"), ADAPTERS)
    assert found.error is not None
    assert "pip install 'landline[pydantic-ai]'" in found.error.message


def test_two_agents_of_one_name_are_refused(folder: Path) -> None:
    """A name is a URL."""
    one = write(folder, "first.py", "class Toy: pass\nsupport = Toy()\n")
    two = write(folder, "second.py", "class Toy: pass\nsupport = Toy()\n")
    with pytest.raises(AgentsClash) as caught:
        load_all([one, two], ADAPTERS)
    assert caught.value.where == "first.py and second.py"


def test_an_agent_that_two_targets_reach_is_listed_once(folder: Path) -> None:
    """Importing a neighbour's agent is no second agent."""
    one = write(folder, "origin.py", "class Toy: pass\nsupport = Toy()\n")
    two = write(folder, "borrower.py", "from origin import support\n")
    assert names(load_all([one, two], ADAPTERS)) == ["support"]


def test_two_broken_files_of_one_name_are_both_listed(folder: Path) -> None:
    """Neither error may hide the other."""
    one, two = write(folder, "p/agents_z.py", "1/0\n"), write(folder, "q/agents_z.py", "1/0\n")
    assert names(load_all([one, two], ADAPTERS)) == ["agents_z", "agents_z_2"]


@pytest.mark.contract("AGT-3")
def test_a_factory_is_known_by_what_it_makes() -> None:
    """Its framework can only be seen on an agent."""

    class Toy:
        pass

    async def later(context: Any) -> Toy:
        return Toy()

    def needy(context: Any) -> Toy:
        return context["x"]

    assert adopt(agent(name="made", factory=lambda _: Toy()), ADAPTERS).adapter is TOY
    assert adopt(agent(Toy(), name="shown", factory=later), ADAPTERS).adapter is TOY
    for factory in (later, needy):
        error = adopt(agent(name="unseen", factory=factory), ADAPTERS).error
        assert error is not None
        assert "give an example" in error.message


def test_an_object_of_no_framework_is_listed_with_the_reason() -> None:
    """An agent that cannot run is shown, not lost."""
    found = adopt(agent(object(), name="odd"), ADAPTERS)
    assert found.error is not None
    assert "no installed adapter" in found.error.message
