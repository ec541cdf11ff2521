"""`landline keys` and `landline users`: who may call, made and unmade by the owner of the data folder (TRU-1, TRU-5)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any

import pytest

from landline.cli.exits import Exit
from landline.gates.auth.passwords import verify_password
from tests.cli.conftest import Project


def made(landline: Project, *words: str) -> dict[str, Any]:
    done = landline(*words, "--json")
    assert done.returncode == Exit.OK, done.stderr
    return json.loads(done.stdout)


def column(landline: Project, name: str) -> Any:
    connection = sqlite3.connect(landline.folder / ".landline" / "landline.db")
    try:
        return connection.execute(f"SELECT {name} FROM users").fetchone()[0]
    finally:
        connection.close()


@pytest.mark.contract("TRU-1")
def test_a_key_is_given_agents_a_tier_and_limits(landline: Project) -> None:
    words = ("--agents", "notes, bank", "--tier", "gold", "--limit", "runs=10/minute", "--limit", "streams=2")
    key = made(landline, "keys", "create", "--user", "ann", *words)
    assert key["key"].startswith(key["prefix"])
    assert (key["agents"], key["tier"]) == (["bank", "notes"], "gold")
    assert key["limits"] == {"runs": "10/minute", "streams": "2"}
    shown = json.loads(landline("keys", "show", key["id"], "--json").stdout)
    assert shown == {name: value for name, value in key.items() if name != "key"}
    listed = landline("keys", "list").stdout
    assert "gold" in listed
    assert "bank,notes" in listed
    assert "runs=10/minute,streams=2" in landline("keys", "show", key["id"]).stdout
    plain = made(landline, "keys", "create", "--user", "ann")
    assert (plain["agents"], plain["tier"], plain["limits"]) == (None, "free", None)


@pytest.mark.contract("TRU-1")
@pytest.mark.parametrize("limit", ["runs", "=1", "runs="])
def test_a_limit_that_is_none_is_refused(landline: Project, limit: str) -> None:
    done = landline("keys", "create", "--user", "ann", "--limit", limit)
    assert done.returncode == Exit.USAGE
    assert "code:  bad_limit" in done.stderr


@pytest.mark.contract("TRU-1")
def test_a_key_is_rotated_with_an_overlap(landline: Project) -> None:
    old = made(
        landline, "keys", "create", "--user", "ann", "--scopes", "runs:read", "--name", "ci", "--agents", "a"
    )
    done = landline("keys", "rotate", old["id"], "--overlap", "2h")
    assert done.returncode == Exit.OK, done.stderr
    assert done.stdout.strip() not in (old["key"], "")
    before, after = json.loads(landline("keys", "list", "--json").stdout)
    assert (after["replaces"], after["scopes"], after["name"], after["agents"]) == (
        old["id"],
        ["runs:read"],
        "ci",
        ["a"],
    )
    assert after["prefix"] == done.stdout.strip()[: len(after["prefix"])]
    left = datetime.fromisoformat(before["expires_at"]) - datetime.fromisoformat(after["at"])
    assert left == timedelta(hours=2)
    assert before["expires_at"] in done.stderr
    now = landline("keys", "rotate", after["id"], "--overlap", "0m", "--expires", "1d", "--json")
    assert json.loads(now.stdout)["expires_at"] is not None
    ended = landline("keys", "rotate", after["id"])
    assert ended.returncode == Exit.FAILURE
    assert "code:  key_ended" in ended.stderr
    assert "code:  bad_span" in landline("keys", "rotate", after["id"], "--overlap", "soon").stderr
    assert "code:  key_not_found" in landline("keys", "rotate", "nobody").stderr


@pytest.mark.contract("TRU-5")
def test_a_user_is_added_shown_changed_and_kept_out(landline: Project) -> None:
    landline.write("landline.toml", '[roles]\nauditor = ["runs:read"]\n')
    user = made(
        landline,
        "users",
        "add",
        "ann",
        "--tenant",
        "acme",
        "--roles",
        "user,auditor",
        "--email",
        "a@b.example",
    )
    assert (user["name"], user["tenant"], user["roles"]) == ("ann", "acme", ["auditor", "user"])
    assert (user["email"], user["has_password"], user["disabled_at"]) == ("a@b.example", False, None)
    assert json.loads(landline("users", "list", "--json").stdout) == [user]
    assert json.loads(landline("users", "list", "--tenant", "other", "--json").stdout) == []
    assert json.loads(landline("users", "show", "ann", "--tenant", "acme", "--json").stdout) == user
    assert "code:  user_not_found" in landline("users", "show", "ann").stderr
    changed = made(landline, "users", "set-roles", "ann", "premium", "--tenant", "acme")
    assert changed["roles"] == ["premium"]
    assert made(landline, "users", "disable", "ann", "--tenant", "acme")["disabled_at"] is not None
    assert "disabled" in landline("users", "list").stdout
    assert made(landline, "users", "enable", "ann", "--tenant", "acme")["disabled_at"] is None
    assert "code:  user_exists" in landline("users", "add", "ann", "--tenant", "acme").stderr
    assert "code:  unknown_role" in landline("users", "add", "bob", "--roles", "root").stderr
    assert "code:  bad_user_name" in landline("users", "add", "b b").stderr


@pytest.mark.contract("TRU-5")
def test_a_key_beyond_its_users_roles_is_not_made(landline: Project) -> None:
    made(landline, "users", "add", "ann")
    done = landline("keys", "create", "--user", "ann", "--scopes", "admin")
    assert done.returncode == Exit.FAILURE
    assert "code:  beyond_roles" in done.stderr
    made(landline, "users", "set-roles", "ann", "admin")
    assert made(landline, "keys", "create", "--user", "ann", "--scopes", "admin")["scopes"] == ["admin"]
    assert "admin" in made(landline, "keys", "create", "--user", "ann")["scopes"], "all that its user may"


@pytest.mark.contract("TRU-3", "TRU-17")
def test_a_password_is_read_from_stdin_and_kept_as_a_hash(landline: Project) -> None:
    done = landline("users", "add", "ann", "--password-stdin", stdin="correct horse\n")
    assert done.returncode == Exit.OK, done.stderr
    first = column(landline, "password_hash")
    assert first.startswith("$argon2id$")
    assert asyncio.run(verify_password("correct horse", first))
    assert made(landline, "users", "show", "ann")["has_password"] is True
    assert "argon2" not in landline("users", "list", "--json").stdout
    assert (
        landline("users", "set-password", "ann", "--password-stdin", stdin="battery\r\n").returncode
        == Exit.OK
    )
    assert asyncio.run(verify_password("battery", column(landline, "password_hash")))


@pytest.mark.contract("TRU-3")
@pytest.mark.parametrize(
    ("words", "stdin"), [((), ""), (("--password-stdin",), ""), (("--password-stdin",), "\n")]
)
def test_no_password_is_made_up(landline: Project, words: tuple[str, ...], stdin: str) -> None:
    made(landline, "users", "add", "ann")
    done = landline("users", "set-password", "ann", *words, stdin=stdin)
    assert done.returncode == Exit.USAGE
    assert "code:  no_password" in done.stderr
    assert column(landline, "password_hash") is None
    assert landline("users", "add", "bob", "--password", *words, stdin=stdin).returncode == Exit.USAGE
    assert len(json.loads(landline("users", "list", "--json").stdout)) == 1
