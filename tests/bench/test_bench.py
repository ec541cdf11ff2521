"""The bench in small: its pieces measure what they say, and a server that answers wrongly gets no figures.

Nothing here looks at how fast anything is.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from openai import AsyncOpenAI

from bench import run
from bench.load import Door, Order, WrongAnswer, blocking, streams
from bench.process import ROOT, cores
from bench.servers import Place, model
from bench.tokens import Answer, prompt, token

SCHEMA = json.loads((ROOT / "bench" / "report.schema.json").read_text(encoding="utf-8"))

pytestmark = pytest.mark.contract("PRF-11")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    server_core, instrument_core = cores()
    return Place(folder=tmp_path, server_core=server_core, instrument_core=instrument_core)


async def test_the_model_of_the_bench_is_one_for_the_real_client(place: Place) -> None:
    with model(place) as upstream:
        async with AsyncOpenAI(base_url=upstream, api_key="test", max_retries=0) as client:
            answer = Answer(interval_ms=5)
            stream = await client.chat.completions.create(
                model="bench",
                messages=[{"role": "user", "content": prompt(20, 5)}],
                stream=True,
                stream_options={"include_usage": True},
            )
            usage = None
            async for chunk in stream:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    answer.feed((choice.delta.content or "").encode(), 0)
            whole = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": prompt(7, 0)}]
            )
    assert answer.fault(20) == ""
    assert usage is not None
    assert usage.completion_tokens == 20
    assert whole.choices[0].message.content is not None
    assert len(whole.choices[0].message.content) == 7 * 16


@pytest.mark.parametrize(
    ("places", "fault"),
    [
        pytest.param([0, 1, 2], "", id="whole"),
        pytest.param([0, 1], "2 of 3 tokens and 0 bytes", id="cut short"),
        pytest.param([0, 2, 1], "token 2 came in the place of 1", id="out of order"),
        pytest.param([0, 1, 1, 2], "token 1 came in the place of 2", id="twice"),
    ],
)
@pytest.mark.parametrize("piece", [1, 16, 21, 1000])
def test_an_answer_is_judged_by_its_text_however_it_is_cut(places: list[int], fault: str, piece: int) -> None:
    text, answer = b"".join(token(place, 5) for place in places), Answer()
    for start in range(0, len(text), piece):
        answer.feed(text[start : start + piece], 10)
    assert answer.fault(3) == fault
    assert set(answer.delays_us) == {5}


@asynccontextmanager
async def _server(body: bytes, kind: bytes) -> AsyncGenerator[Door]:
    """A server with one answer for everything, in chunks that end anywhere."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n" % kind)
        for start in range(0, len(body), 37):
            part = body[start : start + 37]
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Door(port=server.sockets[0].getsockname()[1], path="/runs")


def _events(places: list[int]) -> bytes:
    return b"".join(b'id: %d\ndata: {"delta": "%s"}\n\n' % (n, token(n, 0)) for n in places)


async def test_a_stream_is_read_whatever_its_chunks() -> None:
    async with _server(_events([0, 1, 2, 3]), b"text/event-stream") as door:
        got = await streams(door, count=3, ramp_s=0.01, order=Order(tokens=4), limit_s=5)
    assert [answer.count for answer in got.answers] == [4, 4, 4]
    assert got.cut == 0


async def test_a_stream_that_loses_a_token_has_no_figures() -> None:
    async with _server(_events([0, 1, 3]), b"text/event-stream") as door:
        with pytest.raises(WrongAnswer, match="token 3 came in the place of 2"):
            await streams(door, count=1, ramp_s=0, order=Order(tokens=4), limit_s=5)


async def test_a_blocking_answer_that_is_short_has_no_figures() -> None:
    body = json.dumps({"output": token(0, 0).decode()}).encode()
    async with _server(body, b"application/json") as door:
        with pytest.raises(WrongAnswer, match="1 of 2 tokens"):
            await blocking(door, clients=1, seconds=5, order=Order(tokens=2))


@pytest.mark.timeout(240)  # it starts five processes, one after the other
def test_a_tiny_run_measures_all_targets_and_writes_table_json_and_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--out", str(tmp_path), "--peers", str(tmp_path / "none")]
    assert run.main(["--tiny", "--targets", "bare,landline,relay,agno", *where]) == 0
    said = capsys.readouterr().out
    assert "landline/bare" in said
    assert "WRONG" not in said
    assert "agno: not installed. python -m bench.peers agno" in said
    report = json.loads(next(tmp_path.glob("*.json")).read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA)
    assert report["about"]["faults"] == []
    measured = {row["scenario"]: set(row["figures"]) for row in report["rows"]}
    assert measured["blocking, 2 clients"] == {"bare", "landline", "relay"}
    assert measured["2 streams"] == {"bare", "landline", "relay"}
    assert measured["thread of 12 messages"] <= {"bare", "landline"}
    assert measured["20 idle readers"] == {"landline"}
    assert measured["replay, 100 events"] == {"landline"}
    states = {one["id"]: one["state"] for one in report["about"]["verdicts"]}
    assert states["PRF-1"] == states["PRF-7"] == "not measured"
    assert ElementTree.parse(next(tmp_path.glob("*.svg"))).getroot().tag.endswith("svg")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".svg"]


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--tiny", "--targets", "bare,lanline"]) == 2
    assert "lanline" in capsys.readouterr().err
