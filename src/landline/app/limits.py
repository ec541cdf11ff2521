"""The limits that the settings ask for (TRU-8, RES-6)."""

from collections.abc import Mapping

from landline.app.settings import Settings
from landline.gates.limits import Limiter, RuleError, key_rule, parse_all, parse_rate
from landline.model.errors import Invalid
from landline.ports.clock import Clock

__all__ = ["check_key_limits", "limiter_of"]


def check_key_limits(limits: Mapping[str, str]) -> None:
    """Refuse limits of a key that cannot be read; those with other names are not ours to judge. Raises Invalid."""
    for name, value in limits.items():
        try:
            key_rule(name, value)
        except RuleError:
            at_once = (
                not name.lower().endswith(("requests", "runs", "uploads")) or "concurrent" in name.lower()
            )
            example = "5" if at_once else "60/minute"
            raise Invalid(
                f"The limit {name}={value} cannot be read; write {name}={example}.", code="bad_limit"
            ) from None


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
