"""Talking to a running server over HTTP: JSON in and out, events with resume, every failure as a `Stop`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx

from landline.cli.exits import Exit
from landline.cli.loaded import address_of
from landline.cli.stops import Stop

if TYPE_CHECKING:
    from landline.app.settings import Settings

FINAL = frozenset({"completed", "failed", "cancelled"})
FINAL_EVENTS = frozenset(f"run.{status}" for status in FINAL)
PAGE = 200
PATIENCE_S = 30.0
"""How long a cut stream is taken up again while nothing answers: longer than a restart with the default grace."""
AGAIN_S = 0.5
SILENCE_S = 60.0
"""A stream this long without even a heartbeat is dead."""


class Remote:
    """The native API of one server."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(self, method: str, path: str, **parts: Any) -> Any:
        """Send one request and return its JSON, None for an empty answer.

        Raises:
            Stop: No server answers, or it answers with an error.
        """
        try:
            answer = await self._http.request(method, f"/api/v1{path}", **parts)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        if answer.is_error:
            raise _refused(answer.status_code, _json(answer.content), answer.request)
        return answer.json() if answer.content else None

    async def pages(self, path: str, query: dict[str, Any], limit: int) -> list[dict[str, Any]]:
        """Return up to `limit` items of a list."""
        items: list[dict[str, Any]] = []
        query = {name: value for name, value in query.items() if value is not None}
        while len(items) < limit:
            page = await self.call("GET", path, params={**query, "limit": min(PAGE, limit - len(items))})
            items += page["items"]
            if not page.get("next_cursor"):
                break
            query["cursor"] = page["next_cursor"]
        return items

    async def agents(self) -> list[dict[str, Any]]:
        """Return the agents the caller may use."""
        return (await self.call("GET", "/agents"))["items"]

    async def start(self, agent: str | None, text: str, thread_id: str | None = None) -> dict[str, Any]:
        """Accept a run and return it; it goes on by itself."""
        body = {"agent": agent, "input": text, "thread_id": thread_id, "mode": "background"}
        return await self.call("POST", "/runs", json={k: v for k, v in body.items() if v is not None})

    async def get(self, run_id: str) -> dict[str, Any]:
        """Return a run as it is now."""
        return await self.call("GET", f"/runs/{run_id}")

    async def events(self, run_id: str, after: int = 0) -> AsyncGenerator[dict[str, Any]]:
        """Yield the run's events after a cursor until it ends or waits; a cut stream is taken up where it was."""
        clock = asyncio.get_running_loop().time
        answered = clock()
        while True:
            last = ""
            try:
                async for event in self._stream(run_id, after):
                    after, last = event["seq"], event["type"]
                    yield event
                if last in FINAL_EVENTS:
                    return
                status = (await self.get(run_id))["status"]
                # A replay passes the places where the run once waited: only one that waits now ends the reading.
                if (last == "run.waiting" and status == "waiting") or (not last and status in FINAL):
                    return
                answered = clock()
            except (httpx.HTTPError, Stop) as error:
                if isinstance(error, Stop) and error.exit_code is not Exit.UNREACHABLE:
                    raise
                answered = clock() if last else answered
                if clock() - answered > PATIENCE_S:
                    raise self._unreachable(error) if isinstance(error, httpx.HTTPError) else error from None
            await asyncio.sleep(AGAIN_S)

    async def _stream(self, run_id: str, after: int) -> AsyncGenerator[dict[str, Any]]:
        url, headers = f"/api/v1/runs/{run_id}/events", {"Accept": "text/event-stream"}
        timeout = httpx.Timeout(10, read=SILENCE_S)
        kind = ""
        async with self._http.stream(
            "GET", url, params={"after": after}, headers=headers, timeout=timeout
        ) as answer:
            if answer.is_error:
                await answer.aread()
                raise _refused(answer.status_code, _json(answer.content), answer.request)
            async for line in answer.aiter_lines():
                name, _, value = line.partition(":")
                if name == "event":
                    kind = value.strip()
                elif name == "data" and kind == "error":
                    raise _refused(500, _json(value), answer.request)
                elif name == "data" and "seq" in (event := _json(value)):
                    yield event

    async def answer(self, run_id: str, answers: Sequence[dict[str, Any]]) -> None:
        """Answer questions of a waiting run."""
        await self.call("POST", f"/runs/{run_id}/answers", json={"answers": list(answers)})

    async def cancel(self, run_id: str) -> None:
        """Stop a run."""
        await self.call("POST", f"/runs/{run_id}/cancel")

    async def waiting(self, thread_id: str) -> list[dict[str, Any]]:
        """Return the thread's runs that wait for an answer, with their questions; at most one."""
        found = await self.pages("/runs", {"thread_id": thread_id, "status": "waiting"}, 1)
        return [await self.get(run["id"]) for run in found]

    def _unreachable(self, error: httpx.HTTPError) -> Stop:
        return Stop(
            f"no answer ({type(error).__name__})",
            where=str(self._http.base_url).rstrip("/"),
            how="start it with `landline serve`, or name another one: --url http://HOST:PORT",
            code="server_unreachable",
            exit_code=Exit.UNREACHABLE,
        )


def _json(data: bytes | str) -> dict[str, Any]:
    """Return the JSON object in `data`, an empty one when there is none."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _refused(status: int, problem: dict[str, Any], request: httpx.Request) -> Stop:
    """Put the server's problem document into the shape of the command line."""
    what = problem.get("detail") or problem.get("title")
    how = None
    if status in {401, 403}:
        how = "give an API key with the scope: --api-key or LANDLINE_API_KEY; make one: landline keys create --user NAME"
    return Stop(
        str(what or f"the server answered {status} without saying why: is it Landline?"),
        where=f"{request.method} {request.url.copy_with(query=None)}",
        how=how,
        code=str(problem.get("code") or f"http_{status}"),
    )


@asynccontextmanager
async def remote(settings: "Settings") -> AsyncGenerator[Remote]:
    """Open a line to the server that the settings mean."""
    headers = {"X-API-Key": settings.api_key.get_secret_value()} if settings.api_key else {}
    async with httpx.AsyncClient(base_url=address_of(settings), headers=headers, timeout=30) as http:
        yield Remote(http)
