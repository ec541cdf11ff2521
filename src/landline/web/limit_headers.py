"""Limits in an answer's headers (draft-ietf-httpapi-ratelimit-headers-10).

`RateLimit-Policy: "user-requests-60";q=100;w=60` says what the limit is, `RateLimit: "user-requests-60";r=42;t=17` what is
left of it and in how many seconds there is more. What may go on at once has the unit `concurrent-requests` and no window.
"""

from collections.abc import Iterable

from landline.model.limits import LimitState

__all__ = ["limit_headers"]


def limit_headers(states: Iterable[LimitState]) -> dict[str, str]:
    """Return the fields that tell `states`; none for none."""
    policies: list[str] = []
    left: list[str] = []
    for name, quota, window_s, remaining, reset_s in states:
        unit = f";w={window_s}" if window_s is not None else ';qu="concurrent-requests"'
        policies.append(f'"{name}";q={quota}{unit}')
        left.append(f'"{name}";r={remaining};t={reset_s}')
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(left)} if left else {}
