"""Stored state that somebody tampered with becomes data, or an error: never a call, a module or an arbitrary object."""

import base64
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.serde import jsonplus

from landline.adapters.langgraph.values import Pool


@dataclass
class Kept:
    """A data type of an agent's state."""

    number: int


def stored(kind: str, data: bytes) -> dict[str, str]:
    return {"t": kind, "b": base64.b64encode(data).decode()}


def packed(code: int, *parts: Any) -> dict[str, str]:
    return stored("msgpack", ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(parts))))


CODES = {
    "single": jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG,
    "positional": jsonplus.EXT_CONSTRUCTOR_POS_ARGS,
    "named": jsonplus.EXT_CONSTRUCTOR_KW_ARGS,
    "method": jsonplus.EXT_METHOD_SINGLE_ARG,
    "pydantic 1": jsonplus.EXT_PYDANTIC_V1,
    "pydantic 2": jsonplus.EXT_PYDANTIC_V2,
}


@pytest.mark.parametrize("how", CODES)
def test_a_tampered_value_calls_nothing_loads_nothing_and_makes_no_object(how: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = [sys.executable, "-c", f"open({str(made)!r}, 'w')"]
    arguments: Any = {"single": command, "positional": [command]}.get(how, {"args": command})
    attacks = [
        ("subprocess", "Popen", arguments, "communicate"),
        ("os", "mkdir", {"positional": [str(made)], "named": {"path": str(made)}}.get(how, str(made)), "x"),
        ("builtins", "eval", ["1 + 1"] if how == "positional" else "1 + 1", "x"),
        ("antigravity", "Kept", [1], "x"),
    ]
    for module, name, given, method in attacks:
        loaded = Pool([]).load(packed(CODES[how], module, name, given, method))
        assert type(loaded) in (str, list, dict, type(None)), f"{module}.{name} became {loaded!r}"
    # A path is a value the framework builds; its methods are not to be called.
    Pool([]).load(packed(CODES[how], "pathlib", "Path", str(made), "touch"))
    assert not made.exists()
    assert "antigravity" not in sys.modules


def test_other_forms_than_those_that_are_written_are_refused(tmp_path: Path) -> None:
    made = tmp_path / "made"

    class Bomb:
        def __reduce__(self) -> Any:
            return subprocess.check_call, ([sys.executable, "-c", f"open({str(made)!r}, 'w')"],)

    message = {
        "lc": 2,
        "type": "constructor",
        "id": ["langchain_core", "messages", "human", "HumanMessage"],
        "kwargs": {"content": "x"},
    }
    for tampered in (stored("pickle", pickle.dumps(Bomb())), stored("json", json.dumps(message).encode())):
        with pytest.raises(ValueError, match="not a stored value"):
            Pool([]).load(tampered)
    assert not made.exists()


def test_a_data_type_of_the_state_comes_back() -> None:
    pool = Pool([])
    for value in (Kept(3), {"deep": [Kept(4), b"x"]}, {3}):
        assert pool.load(pool.dump(value)) == value
