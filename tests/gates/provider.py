"""A small OpenID provider on loopback: real HTTP, real signatures, codes that hold once, and faults on demand."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.faces.serving import served
from tests.gates.tokens import jwk_of, rsa_key, signed

CLIENT, SECRET = "landline", "a secret that the provider gave"


class OpenIdProvider:
    """Signs everybody in as `user`. `changes` are claims that its tokens have instead of the right ones."""

    def __init__(self) -> None:
        self.issuer = ""
        self.user = "ada"
        self.changes: dict[str, Any] = {}
        self.key = rsa_key()
        self.ends: str | None = "end"
        self.down = False
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self.about),
            Route("/keys", self.keys),
            Route("/authorize", self.authorize),
            Route("/token", self.token, methods=["POST"]),
            Route("/end", self.end),
        ]

    async def about(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        doors = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        told = {name: f"{self.issuer}/{path}" for name, path in doors.items()}
        if self.ends is not None:
            told["end_session_endpoint"] = self.ends if ":" in self.ends else f"{self.issuer}/{self.ends}"
        return JSONResponse({"issuer": self.issuer, **told})

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [jwk_of(rsa_key(), kid="one", alg="RS256", use="sig")]})

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        self.asked.append(asked["redirect_uri"])
        return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={asked['state']}", 303)

    async def end(self, request: Request) -> Response:
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 303)

    async def token(self, request: Request) -> Response:
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        form = await request.form()
        asked = self.codes.pop(str(form["code"]), None)
        verifier = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            request.headers.get("authorization") != f"Basic {basic}"
            or asked is None
            or asked["redirect_uri"] != form["redirect_uri"]
            or asked["code_challenge"] != challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": self.user, "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], **self.changes,
        }  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        return JSONResponse({"token_type": "Bearer", "id_token": signed(self.key, "RS256", kept)})


@asynccontextmanager
async def providing() -> AsyncGenerator[OpenIdProvider]:
    """Serve a provider on a free port."""
    provider = OpenIdProvider()
    async with served(Starlette(routes=provider.routes())) as address:
        provider.issuer = f"http://{address}"
        yield provider
