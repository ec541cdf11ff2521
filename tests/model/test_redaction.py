"""The one redactor: what looks like a credential, what is known to be one, and data at any depth."""

import time
from collections.abc import Iterator

import pytest

from landline.app.known_secrets import hide_environment, hide_servers
from landline.model import redaction
from landline.model.agents import LoadError
from landline.model.errors import AgentFailed, ErrorInfo, FieldError
from landline.model.redaction import forget, hide, redacted, redacted_data
from landline.ports.mcp import McpServer

pytestmark = pytest.mark.contract("TRU-17")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    forget()
    yield
    forget()


SECRETS = {
    "ll_0123456789abcdef0123456789abcdef01234567": "0123456789abcdef0123456789abcdef01234567",
    "sk-proj-Abcdefghijklmnop1234": "efghijklmnop1234",
    "sk-ant-api03-Abcdefghijklmnop1234": "efghijklmnop1234",
    "AKIAIOSFODNN7EXAMPLE": "IOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789": "abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-123456789012-abcdefghijkl": "123456789012-abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def": "eyJzdWIiOiIxIn0",
    "postgresql://user:hunter2@host/db": "hunter2",
    "redis://:hunter2@host:6379/0": "hunter2",
    "postgresql://user:hun@ter2@host/db": "ter2",
    "https://0123456789abcdef0123456789abcdef@errors.example/1": "0123456789abcdef",
    "password='correct horse battery'": "horse",
    '{"client_secret": "correct horse"}': "horse",
    r"{\"password\": \"hunter22\"}": "hunter22",
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG": "wJalrXUtnFEMI",
    "Cookie: session=s3cretvalue; theme=dark": "s3cretvalue",
    "{'set-cookie': 'session=s3cretvalue; HttpOnly'}": "s3cretvalue",
    "[(b'authorization', b'Bearer s3cretvalue')]": "s3cretvalue",
    "Authorization: Basic dXNlcjpwYXNz": "dXNlcjpwYXNz",
    "x-acme-token: s3cretvalue": "s3cretvalue",
    "sent Bearer s3cretvalue1 to it": "s3cretvalue1",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAK\n-----END RSA PRIVATE KEY-----": "MIIEpAIBAAK",
    "-----BEGIN PRIVATE KEY-----\\nMIIEpAIBAAK": "MIIEpAIBAAK",
}


@pytest.mark.parametrize("text", SECRETS)
def test_every_shape_is_cut_and_a_second_time_changes_nothing(text: str) -> None:
    said = redacted(f"before {text}")
    assert SECRETS[text] in text
    assert SECRETS[text] not in said
    assert said.startswith("before ")
    assert redacted(said) == said


@pytest.mark.parametrize(
    "text",
    [
        "Send an API key in `X-API-Key` or as a bearer token.",
        "send it as X-API-Key or Authorization: Bearer.",
        "api_key: Input should be a valid string",
        "max_tokens=100, output_tokens: 12, total_tokens 112",
        "http://127.0.0.1:8000/api/v1/runs?limit=5",
        "Basic authentication is not understood.",
        "The run 0193a6f2-7c1e-7d42-9a53-0c6f2a7e4b10 failed at 2026-11-21T08:00:00.123Z.",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_a_known_value_is_cut_whatever_it_looks_like() -> None:
    assert "tulip garden" in redacted("it said tulip garden")
    hide(["tulip garden", 'a"b\\c quoted', "short", "two lines\nof a secret file"])
    said = redacted('tulip garden tulip%20garden {"x": "a\\"b\\\\c quoted"} short of a secret file')
    assert "tulip" not in said
    assert "quoted" not in said
    assert "short" in said
    assert "of a secret file" not in said


def test_the_longer_of_two_known_values_leaves_no_rest() -> None:
    hide(["tulipgarden", "tulipgarden-and-more"])
    assert redacted("<tulipgarden-and-more>") == "<…>"


def test_variables_and_servers_give_their_secrets_away_to_the_redactor_alone() -> None:
    hide_environment(
        {
            "OPENAI_API_KEY": "plainwordskey",
            "PGPASSWORD": "plainpassword",
            "BROKER": "amqp://me:plainbroker@host/",
            "KEY_FILE": "/etc/plainpath",
            "HOME": "/home/plainhome",
        }
    )
    server = McpServer(
        name="x",
        url="https://x.example/mcp?access=plainquery",
        headers={"X-Other": "plainheader1", "Authorization": "Bearer plainbearer"},
        env={"A": "plainenvironment"},
    )
    hide_servers([server])
    said = redacted(
        "plainwordskey plainpassword plainbroker plainquery plainheader1 plainbearer plainenvironment plainpath plainhome"
    )
    assert said == "… … … … … … … plainpath plainhome"


def test_data_is_redacted_at_every_depth_and_stays_data() -> None:
    given = {
        "n": 1,
        "ok": True,
        "none": None,
        "token": "x",
        "tokens": 5,
        "max_token": 7,
        "list": [{"headers": {"X-Acme-Key": "y", b"cookie": b"z=1"}}, ("password=hunter22",)],
        "error": ValueError("sk-proj-Abcdefghijklmnop1234"),
        "bytes": b"Bearer s3cretvalue1",
    }
    said = redacted_data(given)
    assert said["n"] == 1
    assert said["tokens"] == 5
    assert said["max_token"] == 7
    assert said["token"] == "…"
    assert said["list"] == [{"headers": {"X-Acme-Key": "…", "cookie": "…"}}, ["password=…"]]
    assert said["error"] == "ValueError('sk-proj…')"
    assert said["bytes"] == "Bearer …"
    loop: list[object] = []
    loop.append(loop)
    assert "…" in repr(redacted_data(loop))

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert redacted_data(Broken()) == "<Broken>"


def test_errors_are_safe_from_the_moment_they_are_made() -> None:
    text = "it said password=hunter22"
    assert ErrorInfo(code="x", message=text).message == "it said password=…"
    assert LoadError(message=text).message == "it said password=…"
    fault = FieldError(loc=["body", 1, "sk-proj-Abcdefghijklmnop1234"], message=text)
    assert (fault.loc, fault.message) == (["body", 1, "sk-proj…"], "it said password=…")
    error = AgentFailed(text)
    assert (error.detail, str(error), error.info.message) == ("it said password=…",) * 3


def test_a_long_text_is_cut_before_a_secret_that_its_end_cuts_through() -> None:
    secret = "tulip garden with a long name " * 3
    hide([secret])
    for place in range(redaction.MOST_CHARS - 100, redaction.MOST_CHARS + 10, 7):
        said = redacted("-" * place + secret + "-" * 1000)
        assert "tulip" not in said
        assert len(said) < redaction.MOST_CHARS + 100


@pytest.mark.parametrize(
    "piece", ["-----BEGIN PRIVATE KEY-----", "://", "x-", "eyJ", "token", "basic ", "x-a-", "://a:", "sk-"]
)
def test_no_text_takes_long(piece: str) -> None:
    began = time.monotonic()
    redacted(piece * (1_000_000 // len(piece)))
    redacted(piece + "a" * 1_000_000)
    assert time.monotonic() - began < 2
