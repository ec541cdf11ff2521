"""Every file in examples/ loads and its agents answer (DOC-1: examples must run)."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from landline.app import plugins
from landline.app.build import build
from landline.app.loading import load_all
from landline.app.settings import load_settings
from landline.model.callers import LOCAL
from landline.model.messages import TextPart
from landline.ports.runs import StartRun
from landline.testing.upstream import ScriptedUpstream

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    """The model of the examples that need one."""
    with ScriptedUpstream() as server:
        yield server


def test_no_example_is_called_like_a_package() -> None:
    """Beside `agents.py` every example that imports a package of that name gets the neighbour."""
    hidden = [path.name for path in EXAMPLES if find_spec(path.stem) is not None]
    assert hidden == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
async def test_an_example_loads_and_answers(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upstream: ScriptedUpstream
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    loaded = load_all([str(path)], plugins.adapters())
    assert [item.error for item in loaded] == [None] * len(loaded)
    async with build(load_settings(data=tmp_path), loaded, open=True).started() as instance:
        for item in loaded:
            started = await instance.runs.start(LOCAL, StartRun(input=[TextPart(text="hi")], agent=item.name))
            async for _ in instance.runs.follow(LOCAL, started.run.id):
                pass
            run = await instance.runs.get(LOCAL, started.run.id)
            assert run.status == ("waiting" if path.name == "workflow.py" else "completed")
