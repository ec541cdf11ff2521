"""The plants themselves: none is stale, each names promises that exist and tests that are there. `make plants` does the rest."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.ledger import ledger
from tests.plants.plants import PATCHES, ROOT, Edit, Plant, StalePlant, apply, edited, plants

PLANTS = plants()
STORE_SUITE = ROOT / "src" / "landline" / "testing"


@cache
def named_below(folder: Path) -> frozenset[str]:
    """Every function below `folder` that is a test, by its bare name."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py"))]
    functions = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.contract("REL-15")
def test_there_are_enough_plants_and_nothing_else_in_their_folder() -> None:
    assert len(PLANTS) >= 20
    assert {path.name for path in PATCHES.iterdir()} == {f"{plant.name}.toml" for plant in PLANTS}


@pytest.mark.contract("REL-15")
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_plant_fits_the_source_of_today(plant: Plant) -> None:
    """A stale one would prove nothing; one that is no Python would turn any test red."""
    for file, text in edited(plant, ROOT).items():
        assert file.startswith("src/landline/")
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse((ROOT / file).read_text(encoding="utf-8")))


@pytest.mark.contract("REL-15")
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_plant_names_promises_and_tests_that_exist(plant: Plant) -> None:
    """Tests of a published suite are found in the suite and not in the file that inherits them."""
    known = {line.id for line in ledger()}
    assert plant.breaks
    assert set(plant.breaks) <= known
    assert plant.says.endswith(".")
    assert plant.tests
    for test in plant.tests:
        file, *path = test.split("::")
        assert (ROOT / file).exists(), test
        if path:
            name = path[-1].partition("[")[0]
            assert name in named_below((ROOT / file).parent) | named_below(STORE_SUITE), test


def test_a_stale_plant_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """A text that is gone, one that is there twice, and a file that is gone."""
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n", encoding="utf-8")
    good = Edit(file="a.py", old="x = 1", new="x = 2")
    for bad in (
        Edit(file="a.py", old="z", new=""),
        Edit(file="a.py", old="= ", new=""),
        Edit(file="b.py", old="x", new=""),
    ):
        plant = Plant(breaks=("REL-15",), says="It breaks.", tests=("a",), edits=(good, bad), name="p")
        with pytest.raises(StalePlant, match="stale"):
            apply(plant, tmp_path)
        assert (tmp_path / "a.py").read_text(encoding="utf-8") == "x = 1\ny = 1\n"


def test_edits_of_one_file_add_up(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n", encoding="utf-8")
    edits = (Edit(file="a.py", old="x = 1", new="x = 2"), Edit(file="a.py", old="y = 1", new="y = 2"))
    apply(Plant(breaks=(), says="", tests=(), edits=edits), tmp_path)
    assert (tmp_path / "a.py").read_text(encoding="utf-8") == "x = 2\ny = 2\n"
