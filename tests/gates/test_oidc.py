"""Pages sign in through a provider, and out again; what it did not say, or said to another, signs nobody in (TRU-3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import landline
from landline.app.build import Landline
from landline.web.page_sign_in import PAGE_COOKIE
from tests.gates.provider import CLIENT, SECRET, OpenIdProvider, providing
from tests.gates.tokens import rsa_key

pytestmark = pytest.mark.contract("TRU-3")

HERE = "http://localhost:8000"
OURS = {"origin": HERE, "x-landline-csrf": "1"}


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with providing() as found:
        yield found


@asynccontextmanager
async def serving(provider: OpenIdProvider, data: Path, **settings: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A server whose pages sign in at `provider`, and a browser without a cookie."""
    made = Landline(
        [landline.agent(_echo, name="echo")],
        data=data,
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        jwt_roles_claim="roles",
        **settings,
    )
    async with made.started(), browser(made) as found:
        yield found


def browser(made: Landline) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(made.app), base_url=HERE)


@pytest.fixture
async def client(provider: OpenIdProvider, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(provider, tmp_path) as found:
        yield found


async def there(client: httpx.AsyncClient, path: str = "/login", **headers: str) -> str:
    """Begin, let the provider sign in, and return the address that it sends the browser back to."""
    begun = await client.get(path, headers=headers)
    assert begun.status_code == 303, begun.text
    async with httpx.AsyncClient() as outside:
        return (await outside.get(begun.headers["location"])).headers["location"]


async def signed_in(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get(await there(client))


def asked_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


async def refused(client: httpx.AsyncClient, back: str) -> None:
    answer = await client.get(back)
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused"), answer.text
    assert PAGE_COOKIE not in client.cookies
    assert (await client.get("/api/v1/threads")).status_code == 401


async def test_a_page_signs_in_and_is_who_the_provider_says(
    client: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    """With a cookie that scripts cannot read, and only so long."""
    provider.changes["roles"] = ["admin"]
    assert (await client.get("/api/v1/threads")).status_code == 401
    answer = await signed_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}/simple")
    kept = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(PAGE_COOKIE))
    assert {"HttpOnly", "SameSite=lax", "Max-Age=43200"} <= set(kept.split("; "))
    assert (await client.get("/api/v1/threads")).status_code == 200
    assert (await client.get("/api/v1/admin/users")).status_code == 200
    made = await client.post("/api/v1/threads", json={"agent": "echo"}, headers=OURS)
    assert (made.status_code, made.json()["user_id"]) == (201, "ada")


async def test_an_answer_to_another_question_signs_nobody_in(client: httpx.AsyncClient) -> None:
    """Another state, another browser's answer, no answer, and the same one twice."""
    back = await there(client)
    kept = client.cookies.get("landline_login")
    assert kept is not None
    for changed in (
        back.replace("state=", "state=x"),
        back.partition("&state=")[0],
        back.replace("code=", "nothing="),
        f"{back}&error=access_denied",
    ):
        await refused(client, changed)
    client.cookies.clear()
    await refused(
        client, back
    )  # the answer of somebody else, who wants this browser to be theirs (login CSRF)
    client.cookies.set("landline_login", kept)
    assert (await client.get(back)).status_code == 303
    client.cookies.clear()
    client.cookies.set("landline_login", kept)
    await refused(client, back)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"azp": "another"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"sub": None},
        {"sub": "a\nb"},
    ],
    ids=str,
)
async def test_a_token_that_was_made_for_something_else_signs_nobody_in(
    client: httpx.AsyncClient, provider: OpenIdProvider, changes: dict[str, Any]
) -> None:
    provider.changes = changes
    await refused(client, await there(client))


async def test_another_key_a_dead_code_and_a_changed_question_sign_nobody_in(
    client: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    provider.key = rsa_key("another")
    await refused(client, await there(client))
    provider.key = rsa_key()
    back = await there(client)
    provider.codes.clear()
    await refused(client, back)
    first, second = await there(client), await there(client)
    state = asked_of(second)["state"][0]
    code = asked_of(first)["code"][0]
    await refused(client, f"/login/callback?code={code}&state={state}")  # the code of another challenge


@pytest.mark.contract("TRU-13")
async def test_nothing_in_a_request_chooses_where_the_browser_goes(
    client: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    """Neither to the provider with, nor back to, an address of somebody else's."""
    evil = "https://evil.example"
    names = ("next", "return_to", "redirect_uri", "callback", "post_logout_redirect_uri", "url")
    query = "&".join(f"{name}={evil}" for name in names)
    forwarded = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example", "referer": evil}
    back = await there(client, f"/login?{query}", **forwarded)
    assert provider.asked == [f"{HERE}/login/callback"]
    assert back.startswith(f"{HERE}/login/callback?")
    answer = await client.get(f"{back}&{query}", headers=forwarded)
    assert answer.headers["location"] == f"{HERE}/simple"
    out = await client.post(f"/logout?{query}", headers={**forwarded, **OURS})
    told = asked_of(out.json()["url"])
    assert told["post_logout_redirect_uri"] == [f"{HERE}/simple"]
    assert "evil" not in out.text
    for path in ("/login", "/login/callback", "//evil.example/login", "/login/callback//evil.example"):
        answer = await client.get(path, headers={"host": "evil.example"})
        assert (answer.status_code, answer.headers.get("location")) == (421, None), path


async def test_signing_out_ends_the_page_and_goes_to_the_provider(
    client: httpx.AsyncClient, provider: OpenIdProvider
) -> None:
    await signed_in(client)
    cookie = client.cookies[PAGE_COOKIE]
    out = await client.post("/logout", headers=OURS)
    assert (out.status_code, out.headers["cache-control"]) == (200, "no-store")
    assert PAGE_COOKIE not in client.cookies
    url = out.json()["url"]
    assert url.startswith(f"{provider.issuer}/end?")
    told = asked_of(url)
    assert told["client_id"] == [CLIENT]
    assert told["id_token_hint"][0].count(".") == 2
    client.cookies.set(PAGE_COOKIE, cookie)
    assert (await client.get("/api/v1/threads")).status_code == 401, "a kept cookie"
    again = await client.post("/logout", headers=OURS)
    assert (again.status_code, again.json()) == (200, {"url": None}), (
        "what does not hold is not the provider's"
    )


@pytest.mark.parametrize("ends", [None, "javascript:alert(1)", "http://evil.example/end"])
async def test_a_provider_without_a_safe_way_out_ends_nothing_more(
    provider: OpenIdProvider, tmp_path: Path, ends: str | None
) -> None:
    """And one that is gone keeps nobody in."""
    provider.ends = ends
    async with serving(provider, tmp_path) as client:
        await signed_in(client)
        out = await client.post("/logout", headers=OURS)
        assert (out.status_code, out.json()) == (200, {"url": None})
        assert (await client.get("/api/v1/threads")).status_code == 401


async def test_a_provider_that_is_gone_keeps_nobody_in(provider: OpenIdProvider, tmp_path: Path) -> None:
    """The server was started again meanwhile, and knows nothing of the provider."""
    async with serving(provider, tmp_path) as client:
        await signed_in(client)
        cookie = client.cookies[PAGE_COOKIE]
    provider.down = True
    async with serving(provider, tmp_path) as client:
        client.cookies.set(PAGE_COOKIE, cookie)
        assert (await client.get("/api/v1/threads")).status_code == 200
        assert (await client.get("/login")).status_code == 503
        out = await client.post("/logout", headers=OURS)
        assert (out.status_code, out.json()) == (200, {"url": None})
        client.cookies.set(PAGE_COOKIE, cookie)
        assert (await client.get("/api/v1/threads")).status_code == 401


@pytest.mark.contract("UI-8")
async def test_the_page_offers_to_sign_in_where_there_is_a_provider(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Under the same strict policy, without a line of script in it."""
    offered = await client.get("/simple")
    assert "<body data-sign-in>" in offered.text
    async with (
        Landline([landline.agent(_echo, name="echo")], open=False, data=tmp_path / "other").started() as made,
        browser(made) as plain,
    ):
        answer = await plain.get("/simple")
        assert "<body>" in answer.text
        assert answer.headers["content-security-policy"] == offered.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert (await plain.get("/login")).status_code == 404


async def _echo(run: Any) -> str:
    return str(run.input)
