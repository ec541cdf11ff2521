"""Health routes (REL-11): `/livez` the process, `/readyz` can accept and store now, `/health` in the tutorials' shape."""

from starlette.responses import Response

from landline.faces.native import encode
from landline.web.door import Door
from landline.web.health import Health
from landline.web.route import Entry, public, uncounted

__all__ = ["HealthRoutes"]


class HealthRoutes:
    """The handlers, and the table that says where they are. They need no credential and say nothing of anyone."""

    def __init__(self, health: Health, door: Door) -> None:
        self._health = health
        self._door = door

    @public
    @uncounted
    async def livez(self) -> Response:
        """Say that the process answers."""
        return encode.json_response({"status": "alive"})

    @public
    @uncounted
    async def readyz(self) -> Response:
        """Say whether runs can be accepted and stored now, check by check."""
        checks = dict(await self._health.ready())
        if self._door.drain.started:
            checks["drain"] = "the server is stopping"
        ready = not any(checks.values())
        told = {
            "status": "ready" if ready else "not_ready",
            "checks": {name: why or "ok" for name, why in checks.items()},
        }
        headers = (
            {"cache-control": "no-store"} if ready else {"cache-control": "no-store", "retry-after": "5"}
        )
        return encode.json_response(told, status=200 if ready else 503, headers=headers)

    @public
    @uncounted
    async def health(self) -> Response:
        """Say how the server is, in the shape that the tutorials' clients read."""
        return encode.json_response(
            {
                "status": "healthy",
                "sessions_active": self._health.sessions_active(),
                "version": self._health.version,
            }
        )

    def routes(self) -> list[Entry]:
        """Return the table."""

        def said(example: dict[str, object]) -> dict[str, object]:
            return {"description": "How it is.", "content": {"application/json": {"example": example}}}

        not_ready = said({"status": "not_ready", "checks": {"database": "the disk is full"}})
        return [
            Entry(method="GET", path="/livez", endpoint=self.livez, name="livez", summary="Is the process alive",
                  docs={"responses": {200: said({"status": "alive"})}}),
            Entry(method="GET", path="/readyz", endpoint=self.readyz, name="readyz", summary="Can it accept and store now",
                  docs={"responses": {200: said({"status": "ready", "checks": {"database": "ok"}}), 503: not_ready}}),
            Entry(method="GET", path="/health", endpoint=self.health, name="health", summary="How is the server",
                  docs={"responses": {200: said({"status": "healthy", "sessions_active": 0, "version": "0.1.0"})}}),
        ]  # fmt: skip
