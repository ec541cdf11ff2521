"""An issuer's keys: turned over, out of reach, slow, and lying (TRU-2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

import landline
from landline.app.build import Landline
from landline.gates.auth.jwks import FETCH_S, FRESH_S, PAUSE_S, STALE_S, Jwks
from landline.gates.auth.jwt import ClaimRules, JwtAuthenticator
from landline.model.callers import Caller
from landline.model.errors import Unauthenticated, Unavailable
from landline.testing.clock import VirtualClock
from landline.upstream import EgressPolicy
from tests.gates.issuer import Issuer, issuing
from tests.gates.tokens import (
    AUDIENCE,
    ISSUER,
    b64,
    claims_at,
    ec_key,
    ed_key,
    hs256,
    jwk_of,
    part,
    pem_of,
    rsa_key,
    signed,
)

pytestmark = pytest.mark.contract("TRU-2", "TRU-14")

RULES = ClaimRules(
    algorithms=frozenset({"RS256", "PS256", "ES256", "EdDSA"}),
    issuer=ISSUER,
    audience=frozenset({AUDIENCE}),
)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as found:
        found.keys = [jwk_of(rsa_key(), kid="one", use="sig", alg="RS256")]
        yield found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def reader(issuer: Issuer, clock: VirtualClock) -> JwtAuthenticator:
    return JwtAuthenticator(RULES, Jwks(issuer.url, EgressPolicy(), clock), clock)


def token(clock: VirtualClock, key: Any = None, algorithm: str = "RS256", **header: Any) -> str:
    claims = claims_at(clock.now().timestamp(), exp=int(clock.now().timestamp()) + 3600)
    return signed(key or rsa_key(), algorithm, claims, **header)


async def refused(reader: JwtAuthenticator, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await reader.authenticate(text)


async def test_keys_are_read_once_and_kept(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """A token costs no call to the issuer; a hundred at once cost one."""
    texts = [token(clock, jti=str(number)) for number in range(100)]
    callers = await asyncio.gather(*(reader.authenticate(text) for text in texts))
    assert {caller.user for caller in callers} == {"ada"}
    await clock.advance(FRESH_S - 1)
    await reader.authenticate(token(clock))
    assert issuer.asked == 1


async def test_a_new_key_is_found_and_an_old_one_is_forgotten(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """Rotation: the new name brings one reading, and after it the old key holds no more."""
    old = token(clock)
    await reader.authenticate(old)
    issuer.keys = [jwk_of(rsa_key("two"), kid="two")]
    await clock.advance(PAUSE_S)
    assert (await reader.authenticate(token(clock, rsa_key("two"), kid="two"))).user == "ada"
    assert issuer.asked == 2
    await refused(reader, old)


async def test_an_old_key_is_forgotten_without_a_new_token_too(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """A key that leaked and was taken off the list holds for five minutes at most."""
    old = token(clock)
    await reader.authenticate(old)
    issuer.keys = [jwk_of(rsa_key("two"), kid="two")]
    await clock.advance(STALE_S)
    await refused(reader, old)


async def test_made_up_names_do_not_make_the_server_call_out(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """One call in ten seconds, however many names are tried."""
    await reader.authenticate(token(clock))
    await clock.advance(PAUSE_S)
    for number in range(50):
        await refused(reader, token(clock, kid=f"made-up-{number}"))
    assert issuer.asked == 2


async def test_out_of_reach_old_keys_serve_for_minutes_and_then_it_is_503(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """An outage of the issuer is not everybody's at once; and never a yes without a key."""
    text = token(clock)
    await reader.authenticate(text)
    issuer.status = 500
    await clock.advance(FRESH_S + 1)
    assert (await reader.authenticate(text)).user == "ada"
    await clock.advance(STALE_S - FRESH_S)
    for _ in range(20):
        with pytest.raises(Unavailable) as caught:
            await reader.authenticate(text)
        assert caught.value.code == "identity_unavailable"
        assert caught.value.retry_after_s is not None
        assert 1 <= caught.value.retry_after_s <= PAUSE_S
    assert issuer.asked == 3
    issuer.status = 200
    await clock.advance(PAUSE_S)
    assert (await reader.authenticate(text)).user == "ada"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys":[]}', b'{"keys":1,"keys":[]}', b"\xff", b"[" * 9000, b"x" * 300_000]
)
async def test_an_answer_that_is_no_list_of_keys_changes_nothing(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock, body: bytes
) -> None:
    """A page of an error with status 200 must not lock everybody out while known keys are young."""
    text = token(clock)
    await reader.authenticate(text)
    issuer.body = body
    await clock.advance(FRESH_S + 1)
    assert (await reader.authenticate(text)).user == "ada"
    assert issuer.asked == 2


async def test_redirects_are_not_followed(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """The owner named one address; where it points is not the owner's word."""
    async with issuing() as other:
        other.keys = [jwk_of(rsa_key("thief"), kid="thief")]
        issuer.status, issuer.location = 302, other.url
        with pytest.raises(Unavailable):
            await reader.authenticate(token(clock, rsa_key("thief"), kid="thief"))
        assert other.asked == 0


async def test_a_slow_issuer_blocks_neither_the_loop_nor_those_who_leave(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """Whoever asked first may leave; the others get the same reading."""
    issuer.hangs = True
    waiting = [asyncio.create_task(reader.authenticate(token(clock, jti=str(n)))) for n in range(3)]
    while not issuer.asked:  # noqa: ASYNC110 - the issuer says nothing when it is asked
        await asyncio.sleep(0.01)
    waiting[0].cancel()
    issuer.let_go.set()
    async with asyncio.timeout(FETCH_S):
        done = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert [one.user for one in done[1:] if isinstance(one, Caller)] == ["ada", "ada"]
    assert issuer.asked == 1


async def test_each_kind_of_key_is_for_its_own_algorithms(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """RS, PS, ES and EdDSA pass with the key that is listed under the name; a listed key of another kind does not."""
    issuer.keys = [
        jwk_of(rsa_key(), kid="rsa"),
        jwk_of(ec_key(), kid="ec"),
        jwk_of(ed_key(), kid="ed"),
        jwk_of(rsa_key("enc"), kid="enc", use="enc"),
        jwk_of(rsa_key("ps"), kid="ps", alg="PS256"),
        jwk_of(rsa_key("ops"), kid="ops", key_ops=["encrypt"]),
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "oct"},
        jwk_of(rsa_key("twin"), kid="twin"),
        jwk_of(rsa_key("twin2"), kid="twin"),
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        "no key",  # type: ignore[list-item] - what a broken issuer may list
    ]
    for key, algorithm, kid in [
        (rsa_key(), "RS256", "rsa"),
        (rsa_key(), "PS256", "rsa"),
        (ec_key(), "ES256", "ec"),
        (ed_key(), "EdDSA", "ed"),
        (rsa_key("ps"), "PS256", "ps"),
        (ec_key(), "ES256", None),
    ]:
        assert (await reader.authenticate(token(clock, key, algorithm, kid=kid))).user == "ada", kid
    for key, algorithm, kid in [
        (rsa_key("enc"), "RS256", "enc"),
        (rsa_key("ps"), "RS256", "ps"),
        (rsa_key("ops"), "RS256", "ops"),
        (rsa_key("twin"), "RS256", "twin"),
        (rsa_key(), "RS384", "rsa"),
        (rsa_key(), "RS256", "ec"),
        (rsa_key(), "RS256", None),
    ]:
        await refused(reader, token(clock, key, algorithm, kid=kid))


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")  # made on purpose
async def test_weak_keys_and_other_curves_are_not_used(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """The library would take both."""
    issuer.keys = [
        jwk_of(rsa_key("weak", 1024), kid="weak"),
        jwk_of(ec_key("p384", "secp384r1"), kid="p384"),
        jwk_of(rsa_key(), kid="one"),
    ]
    await refused(reader, token(clock, rsa_key("weak", 1024), kid="weak"))
    await refused(reader, _es256_over_p384(clock))
    assert (await reader.authenticate(token(clock))).user == "ada"


async def test_a_public_key_is_never_a_secret(
    issuer: Issuer, reader: JwtAuthenticator, clock: VirtualClock
) -> None:
    """The oldest trick: what everybody may read, used to sign with HMAC."""
    claims = claims_at(clock.now().timestamp())
    for secret in (pem_of(rsa_key()), pem_of(rsa_key()).strip(), str(jwk_of(rsa_key()))):
        await refused(reader, hs256({"alg": "HS256", "kid": "one"}, claims, secret))
    assert (await reader.authenticate(token(clock))).user == "ada"


async def test_over_http_an_outage_is_503_with_retry_after(issuer: Issuer, tmp_path: Any) -> None:
    """The whole server, with the way out that its settings make."""
    issuer.status = 500
    instance = Landline(
        [landline.agent(_echo, name="echo")],
        open=False,
        data=tmp_path,
        jwt_jwks_url=issuer.url,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
    )
    headers = {"Authorization": f"Bearer {signed(rsa_key(), 'RS256', claims_at(time.time()))}"}
    transport = httpx.ASGITransport(instance.app)
    async with (
        instance.started(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        answer = await client.get("/api/v1/threads", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "identity_unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= PAUSE_S
        assert (await client.get("/api/v1/threads", headers={"X-API-Key": "ll_x"})).status_code == 401


def _es256_over_p384(clock: VirtualClock) -> str:
    """What the library would verify: the hash of ES256 with the listed key of another curve."""
    text = f"{part({'alg': 'ES256', 'kid': 'p384'})}.{part(claims_at(clock.now().timestamp()))}"
    der = ec_key("p384", "secp384r1").sign(text.encode(), ECDSA(SHA256()))
    r, s = decode_dss_signature(der)
    return f"{text}.{b64(r.to_bytes(48, 'big') + s.to_bytes(48, 'big'))}"


async def _echo(run: Any) -> str:
    return str(run.input)
