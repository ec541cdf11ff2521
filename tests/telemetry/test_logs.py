"""Logs keep secrets to themselves."""

import json
import logging

import pytest

from landline.telemetry.logs import configure, redacted

CANARIES = {
    "ll_0123456789abcdef0123456789abcdef01234567": "ll_0123",
    "sk-proj-Abcdefghijklmnop1234": "sk-proj",
    "Authorization: Bearer s3cretvalue": "Authorization",
    "x-api-key=abcdef123456": "x-api-key",
    "postgresql://user:hunter2@host/db": "postgresql://user:",
    "password='hunter2'": "password",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def": "eyJhbGc",
}


@pytest.mark.contract("TRU-17")
@pytest.mark.parametrize("text", CANARIES)
def test_what_looks_like_a_secret_is_cut(text: str) -> None:
    said = redacted(f"it broke with {text} there")
    assert text not in said
    assert CANARIES[text][:7] in said
    assert said.endswith("there")


@pytest.mark.contract("TRU-17", "OBS-3")
def test_json_logs_hold_no_secret_of_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure(level="info", form="json")
        try:
            raise ValueError("sk-verysecretkey12345 is wrong")
        except ValueError:
            logging.getLogger("landline.test").exception("run %s failed", "r1")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    line = json.loads(capfd.readouterr().err.strip())
    assert line["message"] == "run r1 failed"
    assert "verysecretkey" not in json.dumps(line)
    assert "ValueError" in line["exception"]
