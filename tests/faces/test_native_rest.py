"""Threads, agents, files, health and the pages over REST."""

import io
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landline.faces.native import face
from landline.web.door import Door
from landline.web.health import Health
from landline.web.upload import clean_name
from tests.faces.fakes import FakeAuthenticator, World, native_ports
from tests.faces.serving import build_app

THREADS = "/api/v1/threads"


@pytest.mark.contract("THR-1", "WIRE-1")
async def test_a_thread_is_made_read_changed_and_deleted(client: httpx.AsyncClient) -> None:
    made = await client.post(THREADS, json={"agent": "notes", "title": "A", "metadata": {"k": "v"}})
    assert made.status_code == 201
    thread = made.json()
    assert set(thread) >= {
        "id",
        "user_id",
        "agent",
        "title",
        "metadata",
        "created_at",
        "updated_at",
        "message_count",
    }
    url = made.headers["location"]
    assert url == f"{THREADS}/{thread['id']}"
    got = (await client.get(url)).json()
    assert got.pop("messages") == {"items": []}
    assert got == thread
    assert "messages" not in (await client.get(url, params={"messages": 0})).json()
    changed = (await client.patch(url, json={"pinned": True, "archived": True, "metadata": {"a": 1}})).json()
    assert (changed["title"], changed["pinned"], changed["archived"], changed["metadata"]) == (
        "A",
        True,
        True,
        {"a": 1},
    )
    assert (await client.patch(url, json={"title": None})).json()["title"] is None
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404


@pytest.mark.contract("THR-1", "THR-6")
async def test_threads_are_paged_and_filtered(client: httpx.AsyncClient) -> None:
    for n in range(3):
        await client.post(THREADS, json={"agent": "notes", "metadata": {"n": str(n)}})
    page = (await client.get(THREADS, params={"limit": 2})).json()
    assert len(page["items"]) == 2
    assert page["next_cursor"]
    (found,) = (await client.get(THREADS, params={"metadata.n": "1"})).json()["items"]
    assert found["metadata"] == {"n": "1"}
    assert (
        "next_cursor" not in (await client.get(THREADS, params={"agent": "notes", "archived": False})).json()
    )
    for wrong in (
        {"limit": 0},
        {"limit": 201},
        {"limit": "x"},
        {"cursor": ""},
        {"archived": "perhaps"},
        {"q": "\0"},
    ):
        assert (await client.get(THREADS, params=wrong)).status_code == 422, wrong


@pytest.mark.contract("THR-3", "THR-6")
async def test_messages_are_shown_without_their_native_form(client: httpx.AsyncClient) -> None:
    run = (await client.post("/api/v1/runs", json={"input": "Hello"})).json()
    answer = await client.get(f"{THREADS}/{run['thread_id']}/messages", params={"branch": "all"})
    (message,) = answer.json()["items"]
    assert message["content"] == "Hello"
    assert message["parts"] == [{"type": "text", "text": "Hello"}]
    assert "native" not in message
    assert "secret" not in answer.text
    assert "secret" not in (await client.get(f"{THREADS}/{run['thread_id']}")).text


@pytest.mark.contract("RUN-7", "THR-5")
async def test_threads_and_forks_are_made_once_per_key(client: httpx.AsyncClient, world: World) -> None:
    key = {"Idempotency-Key": "k"}
    first = await client.post(THREADS, json={"agent": "notes", "title": "A"}, headers=key)
    again = await client.post(THREADS, json={"title": "A", "agent": "notes"}, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert (await client.post(THREADS, json={"agent": "notes"}, headers=key)).status_code == 422
    url = f"{THREADS}/{first.json()['id']}/fork"
    fork = await client.post(url, headers=key)
    assert fork.status_code == 201
    assert (await client.post(url, headers=key)).json() == fork.json()
    assert (await client.post(url, json={"message_id": "m"}, headers=key)).status_code == 422
    assert len(world.thread_rows) == 2


@pytest.mark.contract("AGT-5")
async def test_agents_are_listed_and_found(client: httpx.AsyncClient) -> None:
    (agent,) = (await client.get("/api/v1/agents")).json()["items"]
    assert (await client.get("/api/v1/agents/notes")).json() == agent
    assert (await client.get("/api/v1/agents/other")).status_code == 404


FILES = "/api/v1/files"


@pytest.mark.contract("THR-9", "TRU-16")
async def test_a_file_comes_back_as_an_attachment_that_nothing_runs(client: httpx.AsyncClient) -> None:
    for made in (
        await client.post(
            FILES, files={"file": ("../../etc/pass\r\nwd", io.BytesIO(b"<script>"), "text/html")}
        ),
        await client.post(FILES, params={"name": "..\\a/passwd"}, content=b"<script>"),
    ):
        assert made.status_code == 201
        info = made.json()
        assert info["name"] in {"pass%0D%0Awd", "passwd"}
        assert (await client.get(made.headers["location"])).json() == info
        content = await client.get(made.headers["location"] + "/content")
        assert content.content == b"<script>"
        assert content.headers["content-disposition"].startswith("attachment; filename*=UTF-8''pass")
        assert content.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in content.headers["content-security-policy"]
    assert (await client.get(f"{FILES}/nothing/content")).status_code == 404


@pytest.mark.contract("THR-9")
async def test_an_upload_is_streamed_and_bounded(world: World) -> None:
    door = Door(authenticator=FakeAuthenticator(), max_upload_bytes=100_000, max_body_bytes=1000)
    _, app = build_app(native_ports(world, door=door))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        data = bytes(range(256)) * 300
        made = await client.post(FILES, files={"file": ("big.bin", io.BytesIO(data))})
        assert made.json()["size"] == len(data)
        assert world.file_rows[made.json()["id"]][1] == data
        too_large = await client.post(FILES, files={"file": ("big.bin", io.BytesIO(data * 2))})
        assert (too_large.status_code, too_large.json()["code"]) == (413, "too_large")
        text = await client.post("/api/v1/runs", json={"input": "a" * 2000})
        assert text.status_code == 413


@pytest.mark.contract("TRU-11")
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=", b""),
        ("multipart/form-data; boundary=" + "a" * 71, b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nb',
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nA: " + b"b" * 9000),
        (
            "multipart/form-data; boundary=x",
            (
                b'--x\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nb\r\n'
                b'--x\r\nContent-Disposition: form-data; name="b"; filename="g"\r\n\r\nb\r\n--x--\r\n'
            ),
        ),
    ],
)
async def test_a_malformed_form_is_400(
    client: httpx.AsyncClient, world: World, kind: str, body: bytes
) -> None:
    answer = await client.post(FILES, content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    assert not world.file_rows


@given(st.text(max_size=300))
def test_a_file_name_is_never_a_path(given_name: str) -> None:
    name = clean_name(given_name)
    assert 0 < len(name) <= 255
    assert "/" not in name
    assert "\\" not in name
    assert name not in {".", ".."}
    name.encode()


@pytest.mark.contract("REL-11")
async def test_health_tells_the_process_from_its_readiness(world: World) -> None:
    trouble: dict[str, str | None] = {"database": None}

    async def ready() -> dict[str, str | None]:
        return trouble

    door = Door(authenticator=FakeAuthenticator(open_=False))
    ports = native_ports(
        world, door=door, health=Health(version="1.2", ready=ready, sessions_active=lambda: 3)
    )
    _, app = build_app(ports)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        assert (await client.get("/health")).json() == {
            "status": "healthy",
            "sessions_active": 3,
            "version": "1.2",
        }
        assert (await client.get("/readyz")).status_code == 200
        trouble["database"] = "the disk is full"
        red = await client.get("/readyz")
        assert (red.status_code, red.json()["checks"]["database"]) == (503, "the disk is full")
        trouble["database"] = None
        door.drain.start()
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


@pytest.mark.contract("UI-8", "TRU-13")
async def test_the_plain_page_and_the_docs_need_nothing_from_elsewhere(keyed: httpx.AsyncClient) -> None:
    for page in ("/simple", "/docs"):
        answer = await keyed.get(page)
        assert answer.headers["content-type"].startswith("text/html")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        for text in (answer.text, policy):
            assert "://" not in text
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert "<script>" not in answer.text
        for link in (
            ("simple.js", "simple.css")
            if page == "/simple"
            else ("docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "docs/start.js")
        ):
            assert f'"{link}"' in answer.text
            asset = await keyed.get("/" + link)
            assert asset.status_code == 200
            assert asset.headers["content-type"].split(";")[0] in {"text/javascript", "text/css"}
    script = (await keyed.get("/simple.js")).text
    assert "innerHTML" not in script
    assert "://" not in script
    assert (await keyed.get("/docs/../../etc/passwd")).status_code == 404
    assert (await keyed.get("/docs/METADATA")).status_code == 404


@pytest.mark.contract("AGT-6")
async def test_the_routes_work_inside_a_hosts_app_and_leave_its_own_alone(world: World) -> None:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/own/{number}")
    async def own(number: int) -> int:
        return number

    opened: list[str] = []

    async def context(request: Any, caller: Any) -> str:
        opened.append(caller.user)
        return "held"

    app.include_router(face(native_ports(world, context=context), pages=False), prefix="/ai")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        made = await client.post("/ai/api/v1/runs", json={"input": "Hello"})
        assert made.headers["location"].startswith("/ai/api/v1/runs/")
        assert (await client.get(made.headers["location"])).status_code == 200
        assert (world.started[0].context, world.started[0].has_context, opened) == ("held", True, ["local"])
        assert (await client.post("/ai/api/v1/runs", json={"input": "a", "context": {"b": 1}})).json()[
            "code"
        ] == "unsupported"
        assert (await client.post("/ai/api/v1/runs", json={})).headers[
            "content-type"
        ] == "application/problem+json"
        assert opened == ["local"]
        assert (await client.get("/own/x")).json()["detail"][0]["type"] == "int_parsing"
        assert (await client.get("/simple")).status_code == 404


@pytest.mark.contract("FACE-1")
async def test_the_document_names_describes_and_exemplifies_every_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    names: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            names.append(operation["operationId"])
            assert operation["summary"], where
            examples = json.dumps(operation.get("responses"))
            assert '"example"' in examples, where
            for status, response in operation["responses"].items():
                assert response["description"], where
                if path.startswith("/api/") and int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], where
            if path.startswith("/api/"):
                assert {"400", "401", "403", "422"} <= set(operation["responses"]), where
                assert operation["security"] == [{"bearer": []}, {"api_key": []}], where
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                reference = json.dumps(body)
                schema = next(name for name in document["components"]["schemas"] if f'/{name}"' in reference)
                assert document["components"]["schemas"][schema]["examples"], where
                assert document["components"]["schemas"][schema]["additionalProperties"] is False, where
    assert len(names) == len(set(names))
    events = document["components"]["schemas"]["RunEvent"]
    assert events["discriminator"]["propertyName"] == "type"
    assert {"run.created", "text.delta", "question.asked", "run.completed"} <= set(
        events["discriminator"]["mapping"]
    )
    delta = document["components"]["schemas"]["TextDeltaEvent"]
    assert set(delta["required"]) == {"seq", "run_id", "thread_id", "at", "type", "message_id", "delta"}


@pytest.mark.contract("WIRE-4", "THR-1", "RUN-4")
@pytest.mark.parametrize(
    ("path", "unknown"),
    [
        ("/threads?agnet=notes", "agnet"),
        ("/threads?limit=5&metadata=x", "metadata"),
        ("/threads?metadata.=x", "metadata."),
        ("/threads/{thread}/messages?after=3", "after"),
        ("/runs?state=running", "state"),
        ("/approvals?thread_id=x", "thread_id"),
    ],
)
async def test_a_filter_that_a_list_does_not_know_is_refused_by_name(
    client: httpx.AsyncClient, path: str, unknown: str
) -> None:
    thread = (await client.post("/api/v1/threads", json={"agent": "notes"})).json()["id"]
    refused = await client.get("/api/v1" + path.format(thread=thread))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert [error["loc"] for error in refused.json()["errors"]] == [["query", unknown]]
    for known in ("/threads?limit=5&metadata.k=v&q=x", "/runs?limit=1&status=running"):
        assert (await client.get("/api/v1" + known)).status_code == 200


@pytest.mark.contract("WIRE-4")
async def test_the_places_of_faults_name_no_branch_of_ours(client: httpx.AsyncClient) -> None:
    refused = await client.post("/api/v1/runs", json={"input": [{"type": "text"}], "agent": "notes"})
    assert [error["loc"] for error in refused.json()["errors"]] == [
        ["body", "input"],
        ["body", "input", 0, "text"],
    ]
    missing = await client.post("/api/v1/threads", json={})
    assert [error["loc"] for error in missing.json()["errors"]] == [["body", "agent"]]
    limit = await client.get("/api/v1/runs?limit=many")
    assert [error["loc"] for error in limit.json()["errors"]] == [["query", "limit"]]
