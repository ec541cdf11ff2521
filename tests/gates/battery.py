"""The battery of TRU-2: tokens that must not pass, each with what is wrong, beside those that must."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.gates.tokens import (
    AUDIENCE,
    ISSUER,
    SECRET,
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

HS = {"alg": "HS256", "typ": "JWT"}
YEAR_S = 365 * 86_400
BILLION = "1" + "0" * 30

Make = Callable[[float], str]


def _hs(**changed: object) -> Make:
    return lambda now: hs256(HS, claims_at(now, **changed))


def _header(**changed: object) -> Make:
    return lambda now: hs256({**HS, **changed}, claims_at(now))


def _raw(claims: Callable[[float], str], header: object = HS) -> Make:
    return lambda now: hs256(header, claims(now))


def _text(now: float, more: str, **changed: object) -> str:
    """Claims as text, with members that no encoder writes."""
    return json.dumps(claims_at(now, **changed))[:-1] + more + "}"


HOLDS: dict[str, Make] = {
    "plain": _hs(),
    "without typ": lambda now: hs256({"alg": "HS256"}, claims_at(now)),
    "an access token": _header(typ="at+jwt"),
    "a kid that says nothing": _header(kid="any"),
    "several audiences": _hs(aud=["other", AUDIENCE]),
    "exp with a fraction": lambda now: hs256(HS, claims_at(now, exp=now + 60.5)),
    "expired within the leeway": lambda now: hs256(HS, claims_at(now, exp=int(now) - 5)),
    "nbf within the leeway": lambda now: hs256(HS, claims_at(now, nbf=int(now) + 10)),
    "exp in a year": lambda now: hs256(HS, claims_at(now, exp=int(now) + YEAR_S)),
    "without iat": _hs(iat=None),
    "a subject in another script": _hs(sub="Зоя"),
}

REFUSED: dict[str, Make] = {
    # --- the algorithm
    "alg none": lambda now: f"{part({'alg': 'none'})}.{part(claims_at(now))}.",
    "alg none with a signature": _header(alg="none"),
    "alg None": lambda now: f"{part({'alg': 'None'})}.{part(claims_at(now))}.e30",
    "alg nOnE": _header(alg="nOnE"),
    "alg in lower case": _header(alg="hs256"),
    "alg that is not allowed": _header(alg="HS512"),
    "alg of public keys": _header(alg="RS256"),
    "alg empty": _header(alg=""),
    "alg missing": lambda now: hs256({"typ": "JWT"}, claims_at(now)),
    "alg a list": _header(alg=["HS256"]),
    "alg null": _header(alg=None),
    "alg with a space": _header(alg="HS256 "),
    "signed with a public key as secret": lambda now: hs256(HS, claims_at(now), pem_of(rsa_key())),
    "RS256 by a stranger": lambda now: signed(rsa_key("stranger"), "RS256", claims_at(now)),
    "ES256 by a stranger": lambda now: signed(ec_key("stranger"), "ES256", claims_at(now)),
    "EdDSA by a stranger": lambda now: signed(ed_key("stranger"), "EdDSA", claims_at(now)),
    # --- the header chooses its key or its rules
    "jwk in the header": lambda now: signed(
        rsa_key("own"), "RS256", claims_at(now), jwk=jwk_of(rsa_key("own"))
    ),
    "jwk beside an honest signature": _header(jwk={"kty": "oct", "k": b64(SECRET.encode())}),
    "jku": _header(jku="https://attacker.example/keys"),
    "x5u": _header(x5u="https://attacker.example/cert"),
    "x5c": _header(x5c=["MIIB"]),
    "crit": _header(crit=["exp"]),
    "crit of something unknown": _header(crit=["http://example/x"], **{"http://example/x": True}),
    "b64 false": _header(b64=False),
    "b64 false and crit": _header(b64=False, crit=["b64"]),
    "zip": _header(zip="DEF"),
    "cty JWT": _header(cty="JWT"),
    "enc": _header(enc="A128GCM"),
    "kid a path": lambda now: hs256({**HS, "kid": "../../../../dev/null"}, claims_at(now), b""),
    "kid a statement": lambda now: hs256({**HS, "kid": "x' UNION SELECT 'key"}, claims_at(now), "key"),
    "kid an address": lambda now: hs256({**HS, "kid": "https://attacker.example/k"}, claims_at(now), "key"),
    "kid a number": _header(kid=1),
    "kid too long": _header(kid="k" * 201),
    "kid empty": _header(kid=""),
    "typ of a stream token": _header(typ="stream+jwt"),
    "typ of a logout token": _header(typ="logout+jwt"),
    "typ a number": _header(typ=1),
    # --- JSON
    "duplicate alg": _raw(lambda now: json.dumps(claims_at(now)), '{"alg":"HS256","alg":"HS256"}'),
    "duplicate sub": _raw(lambda now: _text(now, ',"sub":"root"')),
    "duplicate exp": _raw(lambda now: _text(now, f',"exp":{int(now) + 9}')),
    "header a list": _raw(lambda now: json.dumps(claims_at(now)), "[]"),
    "header text": _raw(lambda now: json.dumps(claims_at(now)), '"HS256"'),
    "header not JSON": _raw(lambda now: json.dumps(claims_at(now)), "{alg:HS256}"),
    "payload a list": _raw(lambda _: "[]"),
    "payload null": _raw(lambda _: "null"),
    "payload not JSON": _raw(lambda _: "sub=ada"),
    "payload empty": lambda _: hs256(HS, ""),
    "payload with a byte order mark": _raw(lambda now: "\ufeff" + json.dumps(claims_at(now))),
    "payload nested without end": _raw(lambda _: "[" * 5000),
    "payload with a long number": _raw(lambda now: _text(now, ',"n":' + "9" * 5000)),
    "payload with half of a pair": _raw(lambda now: _text(now, ',"sub":"\\ud800"', sub=None)),
    # --- who and whose
    "iss missing": _hs(iss=None),
    "iss another": _hs(iss="https://other.example"),
    "iss with a slash": _hs(iss=ISSUER + "/"),
    "iss a list": _hs(iss=[ISSUER]),
    "aud missing": _hs(aud=None),
    "aud another": _hs(aud="other"),
    "aud in capitals": _hs(aud=AUDIENCE.upper()),
    "aud a number": _hs(aud=1),
    "aud a list with a number": _hs(aud=[AUDIENCE, 1]),
    "aud an object": _hs(aud={AUDIENCE: True}),
    "sub missing": _hs(sub=None),
    "sub empty": _hs(sub=""),
    "sub a space": _hs(sub=" "),
    "sub with a space at its end": _hs(sub="ada "),
    "sub a number": _hs(sub=1),
    "sub a list": _hs(sub=["ada"]),
    "sub true": _hs(sub=True),
    "sub with NUL": _hs(sub="ada\0"),
    "sub with a new line": _hs(sub="ada\nroot"),
    "sub with a mark that turns text": _hs(sub="ada\u202eroot"),
    "sub too long": _hs(sub="a" * 201),
    # --- times
    "exp missing": _hs(exp=None),
    "exp past": lambda now: hs256(HS, claims_at(now, exp=int(now) - 40)),
    "exp zero": _hs(exp=0),
    "exp negative": _hs(exp=-1),
    "exp 1e30": _raw(lambda now: _text(now, ',"exp":1e30', exp=None)),
    "exp 10^30": _raw(lambda now: _text(now, f',"exp":{BILLION}', exp=None)),
    "exp 1e999": _raw(lambda now: _text(now, ',"exp":1e999', exp=None)),
    "exp NaN": _raw(lambda now: _text(now, ',"exp":NaN', exp=None)),
    "exp Infinity": _raw(lambda now: _text(now, ',"exp":Infinity', exp=None)),
    "exp text": lambda now: hs256(HS, claims_at(now, exp=str(int(now) + 60))),
    "exp true": _hs(exp=True),
    "exp null": _raw(lambda now: _text(now, ',"exp":null', exp=None)),
    "exp a list": lambda now: hs256(HS, claims_at(now, exp=[int(now) + 60])),
    "exp in two years": lambda now: hs256(HS, claims_at(now, exp=int(now) + 2 * YEAR_S)),
    "exp in milliseconds": lambda now: hs256(HS, claims_at(now, exp=int(now) * 1000)),
    "nbf ahead": lambda now: hs256(HS, claims_at(now, nbf=int(now) + 120)),
    "nbf text": lambda now: hs256(HS, claims_at(now, nbf=str(int(now)))),
    "nbf true": _hs(nbf=True),
    "iat ahead": lambda now: hs256(HS, claims_at(now, iat=int(now) + 120)),
    "iat text": lambda now: hs256(HS, claims_at(now, iat=str(int(now)))),
    # --- the signature and the form
    "another secret": lambda now: hs256(HS, claims_at(now), "another-secret-of-thirty-two-bytes-at-least"),
    "an empty secret": lambda now: hs256(HS, claims_at(now), b""),
    "no signature": lambda now: hs256(HS, claims_at(now)).rpartition(".")[0] + ".",
    "half a signature": lambda now: hs256(HS, claims_at(now))[:-20],
    "a signature of another token": lambda now: (
        f"{part(HS)}.{part(claims_at(now, sub='root'))}.{hs256(HS, claims_at(now)).rpartition('.')[2]}"
    ),
    "claims changed": lambda now: hs256(HS, claims_at(now)).replace(
        part(claims_at(now)), part(claims_at(now, sub="root"))
    ),
    "padding": lambda now: hs256(HS, claims_at(now)) + "=",
    "padding in the header": lambda now: hs256(HS, claims_at(now)).replace(".", "=.", 1),
    "something after it": lambda now: hs256(HS, claims_at(now)) + "x",
    "a dot after it": lambda now: hs256(HS, claims_at(now)) + ".",
    "a fourth part": lambda now: hs256(HS, claims_at(now)) + ".e30",
    "spare bits": lambda now: _with_spare_bits(hs256(HS, claims_at(now))),
    "a space within": lambda now: hs256(HS, claims_at(now)).replace(".", " .", 1),
    "base64 with plus and slash": lambda now: hs256(HS, claims_at(now))[:-4] + "+/+/",
    "five parts, as when encrypted": lambda _: f"{part({'alg': 'dir', 'enc': 'A128GCM'})}.e30.e30.e30.e30",
    "a token in a token": lambda now: hs256({**HS, "cty": "JWT"}, hs256(HS, claims_at(now))),
    "only dots": lambda _: "..",
    "empty parts": lambda _: "e30..e30",
    "over 8 KB": lambda now: hs256(HS, claims_at(now, more="x" * 7000)),
}
"""By what is wrong with each."""


def _with_spare_bits(token: str) -> str:
    """The same bytes in other letters: the last one of 43 carries two bits that nobody reads."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) + 1]
