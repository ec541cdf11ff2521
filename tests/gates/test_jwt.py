"""What a token says of its caller, how long it is believed, and settings that would be a hole (TRU-2, TRU-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landline.app.settings import ConfigError, load_settings
from landline.app.upkeep import decide_open
from landline.gates.auth.jwt import ClaimRules, JwtAuthenticator, OneKey
from landline.model.callers import ALL_SCOPES, Caller
from landline.model.errors import Unauthenticated
from landline.testing.clock import VirtualClock
from tests.gates.tokens import SECRET, claims_at, ec_key, hs256, pem_of, rsa_key

pytestmark = pytest.mark.contract("TRU-2")

HS = {"alg": "HS256", "typ": "JWT"}


async def read(clock: VirtualClock, claims: dict[str, Any], **rules: Any) -> Caller:
    whole = ClaimRules(algorithms=frozenset({"HS256"}), audience=frozenset({"landline"}), **rules)
    reader = JwtAuthenticator(whole, OneKey(SECRET, ["HS256"]), clock)
    return await reader.authenticate(hs256(HS, claims))


async def test_by_default_a_token_names_its_user_and_nothing_else() -> None:
    """Roles, tenants and scopes of a stranger's vocabulary mean something here only when the owner says so."""
    clock = VirtualClock()
    claims = claims_at(
        clock.now().timestamp(), tenant="x", roles=["admin"], scope="admin delegate", jti="j-1"
    )
    assert await read(clock, claims) == Caller(
        tenant="local", user="ada", credential=f"jwt:{claims['exp']}:j-1"
    )


async def test_tenant_roles_and_scopes_come_from_the_claims_that_are_named() -> None:
    """By path, by whole name, as a list or as words."""
    clock = VirtualClock()
    claims = claims_at(
        clock.now().timestamp(),
        org={"id": "acme"},
        realm_access={"roles": ["premium", "editor"]},
        **{"https://example/scope": "runs:write openid runs:read"},
    )
    caller = await read(
        clock,
        claims,
        tenant_claim="org.id",
        roles_claim="realm_access.roles",
        scopes_claim="https://example/scope",
    )
    assert (caller.tenant, caller.tier) == ("acme", "premium")
    assert caller.roles == {"premium", "editor"}
    assert caller.scopes == {"runs:write", "runs:read"}
    assert (caller.credential or "").startswith("jwt:")


async def test_the_role_admin_brings_its_scope_and_nothing_else_does() -> None:
    """Not a user who is called so."""
    clock = VirtualClock()
    claims = claims_at(clock.now().timestamp(), sub="admin", roles=["admin"])
    assert (await read(clock, claims, roles_claim="roles")).scopes == ALL_SCOPES | {"admin"}
    assert (await read(clock, {**claims, "roles": ["Admin"]}, roles_claim="roles")).scopes == ALL_SCOPES


@pytest.mark.parametrize(
    "changed",
    [
        {"org": None},
        {"org": ""},
        {"org": 1},
        {"org": "a\0b"},
        {"org": "acme", "roles": 1},
        {"org": "acme", "roles": [1]},
        {"org": "acme", "roles": {"admin": True}},
        {"org": "acme", "roles": ["r"] * 101},
    ],
)
async def test_claims_of_another_form_do_not_hold(changed: dict[str, Any]) -> None:
    """A token without its tenant must not land in the default one, among others' threads."""
    clock = VirtualClock()
    with pytest.raises(Unauthenticated):
        await read(
            clock, claims_at(clock.now().timestamp(), **changed), tenant_claim="org", roles_claim="roles"
        )


async def test_a_token_is_remembered_for_a_moment_and_never_past_its_end() -> None:
    """Two seconds of belief, cut at the expiry and its leeway."""
    clock = VirtualClock()
    asked: list[str] = []

    class Counted(OneKey):
        async def key(self, algorithm: str, kid: str | None) -> Any:
            asked.append(algorithm)
            return await super().key(algorithm, kid)

    rules = ClaimRules(algorithms=frozenset({"HS256"}), audience=frozenset({"landline"}), leeway_s=1)
    reader = JwtAuthenticator(rules, Counted(SECRET, ["HS256"]), clock)
    token = hs256(HS, claims_at(clock.now().timestamp(), exp=clock.now().timestamp() + 2))
    for _ in range(5):
        await reader.authenticate(token)
    assert len(asked) == 1
    await clock.advance(2.1)
    await reader.authenticate(token)
    assert len(asked) == 2
    await clock.advance(0.9)
    with pytest.raises(Unauthenticated):
        await reader.authenticate(token)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"jwt_secret": "short"}, "fewer than 32 bytes"),
        ({"jwt_secret": SECRET, "jwt_algorithms": "none"}, "none is not"),
        ({"jwt_secret": SECRET, "jwt_algorithms": "HS256,RS256"}, "RS256 is not"),
        ({"jwt_public_key": pem_of(rsa_key()), "jwt_algorithms": "HS256"}, "HS256 is not"),
        ({"jwt_public_key": pem_of(rsa_key())}, "named"),
        ({"jwt_public_key": "text", "jwt_algorithms": "RS256"}, "no public key"),
        ({"jwt_public_key": "-----BEGIN PRIVATE KEY-----", "jwt_algorithms": "RS256"}, "no public key"),
        ({"jwt_secret": SECRET, "jwt_jwks_url": "https://issuer.example/k"}, "cannot both"),
        ({"jwt_jwks_url": "https://issuer.example/k"}, "needs jwt_issuer and jwt_audience"),
        ({"jwt_jwks_url": "http://issuer.example/k"}, "on the way"),
        ({"jwt_jwks_url": "file:///etc/passwd"}, "on the way"),
        ({"jwt_jwks_url": "https://u:p@issuer.example/k"}, "on the way"),
        ({"jwt_algorithms": "HS256"}, "no key"),
        ({"jwt_secret": SECRET, "jwt_leeway_s": 61}, "less than or equal to 60"),
    ],
)
def test_settings_that_would_be_a_hole_are_refused(keywords: dict[str, Any], says: str) -> None:
    """At the start, with what to write instead."""
    with pytest.raises(ConfigError) as caught:
        load_settings(**keywords)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_key_that_is_none_for_its_algorithm_is_refused() -> None:
    """An RSA key verifies no elliptic curve, and P-384 is not ES256."""
    for key, algorithm in [
        (pem_of(rsa_key()), "ES256"),
        (pem_of(ec_key()), "RS256"),
        (pem_of(ec_key("p384", "secp384r1")), "ES256"),
        (pem_of(rsa_key("weak", 1024)), "RS256"),
        ("no key", "RS256"),
    ]:
        with pytest.raises(ValueError, match=r"no key for|below"):
            OneKey(key, [algorithm])


@pytest.mark.contract("TRU-6")
async def test_a_server_that_takes_tokens_is_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on loopback nor elsewhere, and it may bind without a key of ours."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(jwt_secret=SECRET, data=tmp_path)
    assert settings.jwt_algorithms == ("HS256",)
    assert await decide_open(settings) is False
    assert await decide_open(load_settings(jwt_secret=SECRET, data=tmp_path, host="192.0.2.1")) is False


def test_the_secret_may_lie_in_a_file_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every other secret."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("LANDLINE_JWT_SECRET_FILE", str(tmp_path / "secret"))
    settings = load_settings()
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == SECRET
    assert settings.shown()["jwt_secret"] == "********"
    assert SECRET not in repr(settings)
