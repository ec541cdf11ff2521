"""The limits that the settings ask for (TRU-8, RES-6)."""

from landline.app.settings import Settings
from landline.gates.limits import Limiter, parse_all, parse_rate
from landline.ports.clock import Clock

__all__ = ["limiter_of"]


def limiter_of(settings: Settings, clock: Clock) -> Limiter:
    """Return what counts, in this process or in the Redis of the settings."""
    shared = None
    if settings.redis_url is not None:
        from landline.gates.limits.shared import SharedLimits

        shared = SharedLimits(settings.redis_url, clock)
    rate = settings.failed_sign_ins
    return Limiter(
        parse_all(settings.limits),
        clock=clock,
        failures=None if rate == "off" else parse_rate(rate),
        shared=shared,
    )
