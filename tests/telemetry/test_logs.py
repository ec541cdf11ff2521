"""Logs keep secrets to themselves."""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Literal

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


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.contract("TRU-17", "OBS-3")
@pytest.mark.usefixtures("logging_restored")
def test_json_logs_hold_no_secret_of_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    configure(level="info", form="json")
    try:
        try:
            raise ExceptionGroup("many", [KeyError("ghp_abcdefghijklmnopqrstuvwxyz")])
        except ExceptionGroup as inner:
            inner.add_note("password=hunter22")
            raise ValueError("sk-verysecretkey12345 is wrong") from inner
    except ValueError:
        logging.getLogger("landline.test").exception("run %s failed", "r1")
    line = json.loads(capfd.readouterr().err.strip())
    assert line["message"] == "run r1 failed"
    for secret in ("verysecretkey", "abcdefghijklmnop", "hunter22"):
        assert secret not in json.dumps(line)
    for kept in ("ValueError", "ExceptionGroup", "KeyError"):
        assert kept in line["exception"]


@pytest.mark.contract("TRU-17")
@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.usefixtures("logging_restored")
# The library prints what it cannot format, and the thread's error is the point.
@pytest.mark.filterwarnings("default")
def test_what_python_prints_by_itself_is_logged_without_secrets(
    form: Literal["json", "pretty"], capfd: pytest.CaptureFixture[str]
) -> None:
    configure(level="debug", form=form)

    def breaks() -> None:
        raise ValueError("password=hunter22")

    thread = threading.Thread(target=breaks)
    thread.start()
    thread.join()
    try:
        breaks()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    warnings.warn("token=hunter22", stacklevel=1)
    logging.getLogger("x").warning("%d of %s", "hunter22", "it")
    logging.getLogger("x").warning("headers %s", {"x-acme-key": "hunter22"})
    logging.getLogger("x").warning({"password": "hunter22", "deep": [{"token": "hunter22"}]})
    said = capfd.readouterr().err
    assert "hunter22" not in said
    for kept in ("a thread failed", "the process failed", "token=", "could not be logged", "headers"):
        assert kept in said
    if form == "json":
        kinds = [line for line in said.splitlines() if not line.startswith("{")]
        assert kinds == ["a line of x could not be logged: TypeError"]
