"""Signing in to pages through an OpenID provider: code flow, PKCE, state and nonce; of the cookie nothing but a name is
in the browser, what it stands for is in the store (TRU-3).
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from landline.gates.auth.compact import BadToken, digest_of, is_plain_type, read_compact, read_object
from landline.gates.auth.jwks import Jwks
from landline.gates.auth.jwt import ClaimRules, check_issued, checked_times, verify
from landline.gates.auth.own_tokens import Signer
from landline.model.callers import SYSTEM, Caller
from landline.model.errors import LandlineError, Unauthenticated, Unavailable
from landline.model.ids import new_id
from landline.ports.clock import Clock
from landline.ports.documents import Documents, DocumentWrite
from landline.ports.egress import Egress
from landline.ports.page_sign_in import LOGIN_S, PAGE_S, Begun

__all__ = ["CREDENTIAL", "OidcSignIn", "Provider"]

CREDENTIAL: Final = "page:"
COLLECTION: Final = "auth.pages"
_END: Final = "end_session_endpoint"
_LOGIN: Final = "login+jwt"
_PAGE: Final = "page+jwt"
_ANSWER_S: Final = 10.0
_MAX_BYTES: Final = 256 * 1024
_KNOWN_S: Final = 300.0
"""How long what a provider says of itself is believed."""
_MAX_HINT_CHARS: Final = 4096
"""An id token goes back to the provider in a URL when somebody signs out; a longer one is not kept for that."""
REFUSED: Final = "The sign-in did not come about; begin again."


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    user: str
    scopes: list[str]
    roles: list[str]
    tier: str
    until: float
    id_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """Whom the owner named: its issuer, and what it knows this server as."""

    issuer: str
    client_id: str
    client_secret: str


class OidcSignIn:
    """The port `PageSignIn`."""

    def __init__(
        self,
        provider: Provider,
        rules: ClaimRules,
        signer: Signer,
        documents: Documents,
        egress: Egress,
        clock: Clock,
    ) -> None:
        self._provider, self._signer, self._documents = provider, signer, documents
        self._rules = replace(rules, issuer=provider.issuer, audience=frozenset({provider.client_id}))
        self._egress, self._clock = egress, clock
        parts = urlsplit(provider.issuer)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._said: dict[str, str] = {}
        self._said_at = float("-inf")
        self._keys: Jwks | None = None

    async def begin(self, callback: str) -> Begun:
        """Begin a sign-in; see the port."""
        said = await self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": callback,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        claims = {"state": state, "nonce": nonce, "verifier": verifier, "callback": callback}
        return Begun(
            url=_with(said["authorization_endpoint"], asked),
            kept=self._signer.sign(_LOGIN, claims, lives_s=LOGIN_S),
        )

    async def finish(self, kept: str, *, state: str, code: str) -> str:
        """Finish it; see the port."""
        try:
            asked = await self._signer.read(_LOGIN, kept)
            _same(str(asked["state"]), state)
            token = await self._exchanged(code, asked)
            caller = await self._vouched(token, nonce=asked["nonce"])
        except BadToken:
            raise Unauthenticated(REFUSED, code="sign_in_refused") from None
        return await self._kept(caller, token)

    async def caller(self, cookie: str) -> Caller:
        """Return who a cookie signs in; see the port."""
        try:
            page_id = str((await self._signer.read(_PAGE, cookie))["pid"])
        except BadToken:
            raise Unauthenticated("The sign-in does not hold any more.") from None
        page = await self._find(page_id)
        if page is None:
            raise Unauthenticated("The sign-in does not hold any more.")
        return Caller(
            tenant=page.tenant,
            user=page.user,
            scopes=frozenset(page.scopes),
            roles=frozenset(page.roles),
            tier=page.tier,
            credential=f"{CREDENTIAL}{page_id}",
        )

    async def end(self, cookie: str, *, back: str) -> str | None:
        """Sign out; see the port."""
        try:
            page_id = str((await self._signer.read(_PAGE, cookie))["pid"])
        except BadToken:
            return None
        page = await self._find(page_id)
        gone = DocumentWrite(collection=COLLECTION, key=page_id, body=None)
        await self._documents.write_documents(SYSTEM, [gone])
        if page is None:
            return None
        try:
            where = (await self._discovered()).get(_END)
        except Unavailable:
            return None  # whoever wants out here is out, whatever the provider does
        asked = {"client_id": self._provider.client_id, "post_logout_redirect_uri": back}
        if page.id_token is not None:
            asked["id_token_hint"] = page.id_token
        return None if where is None else _with(where, asked)

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the cookie that made `caller` still signs in."""
        return await self._find((caller.credential or "").removeprefix(CREDENTIAL)) is not None

    async def _find(self, page_id: str) -> _Page | None:
        found = await self._documents.read_documents(SYSTEM, COLLECTION, [page_id])
        page = _decoder.decode(found[0].body) if found else None
        return page if page is not None and self._clock.now().timestamp() < page.until else None

    async def _kept(self, caller: Caller, token: str) -> str:
        page_id, label = new_id(), f"{caller.tenant}\0{caller.user}"
        now = self._clock.now().timestamp()
        page = _Page(
            tenant=caller.tenant,
            user=caller.user,
            scopes=sorted(caller.scopes),
            roles=sorted(caller.roles),
            tier=caller.tier,
            until=now + PAGE_S,
            id_token=token if len(token) <= _MAX_HINT_CHARS else None,
        )
        # Ended ones of the same user go now: nobody else would clean up after them.
        kept = await self._documents.list_documents(SYSTEM, COLLECTION, label=label)
        ended = [one.key for one in kept if _decoder.decode(one.body).until <= now]
        writes = [DocumentWrite(collection=COLLECTION, key=key, body=None) for key in ended]
        body = msgspec.json.encode(page)
        writes.append(
            DocumentWrite(
                collection=COLLECTION, key=page_id, body=body, version="1", expected="", label=label
            )
        )
        await self._documents.write_documents(SYSTEM, writes)
        return self._signer.sign(_PAGE, {"pid": page_id}, lives_s=PAGE_S)

    async def _exchanged(self, code: str, asked: dict[str, Any]) -> str:
        said = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked["callback"],
            "code_verifier": asked["verifier"],
        }
        answer = await self._call("POST", said["token_endpoint"], data=form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise BadToken("no id token")
        return token

    async def _vouched(self, token: str, *, nonce: str) -> Caller:
        compact = read_compact(token)
        if compact.algorithm not in self._rules.algorithms or not is_plain_type(compact.kind):
            raise BadToken("not an algorithm, or not a kind, that is taken")
        assert self._keys is not None, "discovered before"
        claims = verify(compact, await self._keys.key(compact.algorithm, compact.kid))
        now = self._clock.now().timestamp()
        expires = checked_times(claims, now=now, leeway_s=self._rules.leeway_s)
        _same(str(claims.get("nonce")), nonce)
        if claims.get("azp", self._provider.client_id) != self._provider.client_id:
            raise BadToken("for another client")
        return check_issued(claims, self._rules, digest_of(token), expires)

    async def _discovered(self) -> dict[str, str]:
        """Return what the provider says of itself, the issuer's own word on where its doors are."""
        if self._clock.steady() - self._said_at < _KNOWN_S:
            return self._said
        try:
            said = await self._call(
                "GET", f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
            )
            doors = {name: said[name] for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        except (BadToken, KeyError):
            raise _out_of_reach() from None
        if said.get("issuer") != self._provider.issuer or not all(map(self._is_safe, doors.values())):
            raise _out_of_reach()
        if self._is_safe(said.get(_END)):
            doors[_END] = said[_END]
        if self._said.get("jwks_uri") != doors["jwks_uri"]:
            self._keys = Jwks(doors["jwks_uri"], self._egress, self._clock, trusted=[self._origin])
        self._said, self._said_at = doors, self._clock.steady()
        return doors

    def _is_safe(self, url: Any) -> bool:
        """Tell whether a door may be used: over TLS, or on the very origin that the owner named."""
        if not isinstance(url, str):
            return False
        return url.startswith(("https://", f"{self._origin}/"))

    async def _call(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object of an answer. Raises BadToken for a refusal, Unavailable for none."""
        auth = httpx.BasicAuth(self._provider.client_id, self._provider.client_secret)
        try:
            async with self._egress.client(
                trusted=[self._origin], max_bytes=_MAX_BYTES, silence_s=_ANSWER_S
            ) as client:
                answer = await client.request(
                    method, url, headers={"accept": "application/json"},
                    auth=auth if method == "POST" else None, **options,
                )  # fmt: skip
        except (httpx.HTTPError, OSError, LandlineError):
            raise _out_of_reach() from None
        if answer.status_code >= 500:
            raise _out_of_reach()
        if answer.status_code != 200:
            raise BadToken("the provider refuses")
        return read_object(answer.content)


def _with(url: str, asked: dict[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"


def _same(asked: str, answered: str) -> None:
    if not secrets.compare_digest(asked.encode(), answered.encode("utf-8", "replace")):
        raise BadToken("the answer to another question")


def _out_of_reach() -> Unavailable:
    return Unavailable(
        "The sign-in provider cannot be reached now.", code="identity_unavailable", retry_after_s=10
    )


_decoder: Final = msgspec.json.Decoder(_Page)
