"""Tokens for tests, written by hand: a library that makes them well cannot make them badly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.example", "landline"
SECRET = "a-secret-for-tests-of-at-least-thirty-two-bytes"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: Any) -> str:
    """A header or a payload; text goes in as it is."""
    return b64((value if isinstance(value, str) else json.dumps(value)).encode())


def hs256(header: Any, claims: Any, secret: str | bytes = SECRET) -> str:
    """A token with an honest HS256 signature, whatever its header says."""
    signed = f"{part(header)}.{part(claims)}"
    key = secret.encode() if isinstance(secret, str) else secret
    return f"{signed}.{b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str = "one", curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key({"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}[curve])


@cache
def ed_key(name: str = "one") -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def pem_of(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk_of(key: Any, **members: Any) -> dict[str, Any]:
    """The public half of a key as an issuer lists it."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        text = RSAAlgorithm.to_jwk(public)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        text = ECAlgorithm.to_jwk(public)
    else:
        text = OKPAlgorithm.to_jwk(public)
    return {**json.loads(text), **members}


def signed(
    key: Any, algorithm: str, claims: Mapping[str, Any], *, kid: str | None = "one", **header: Any
) -> str:
    """A token with an honest signature of a private key."""
    named = {"kid": kid} if kid is not None else {}
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers={**named, **header})


def claims_at(now: float, **changed: Any) -> dict[str, Any]:
    """Claims that hold at `now`; a value of None takes one away."""
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": int(now),
        "exp": int(now) + 600,
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}
