"""The gates that the settings ask for, in the order of ADR 0007: limits, bulkheads, budgets, guards."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landline.app.settings import Settings
from landline.app.settings_sources import ConfigError
from landline.gates.limits import Limiter, RunLimits
from landline.ports.adapter import AgentSpec
from landline.ports.clock import Clock
from landline.ports.egress import Egress
from landline.ports.gates import Gate, Price
from landline.ports.runs import Files
from landline.ports.store import Store

if TYPE_CHECKING:
    from landline.gates.guards import Endpoint, GuardGate

__all__ = ["gates_of", "price_of"]

logger = logging.getLogger(__name__)


def gates_of(  # noqa: PLR0913 - the composition root hands over the parts of all gates
    settings: Settings,
    store: Store,
    clock: Clock,
    limiter: Limiter | None = None,
    specs: Sequence[AgentSpec] = (),
    egress: Callable[[], Egress] | None = None,
    files: Files | None = None,
) -> Sequence[Gate]:
    """Return the gates of runs; none when nothing is limited or guarded."""
    gates: list[Gate] = []
    if limiter is not None:
        gates.append(RunLimits(limiter, store, clock))
    gates.extend(bulkheads_of(settings, specs, clock))
    gates.extend(budgets_of(settings, store, clock, specs))
    if settings.guards or any(spec.guards for spec in specs):
        gates.append(_guards(settings, specs, egress, files))
    return gates


def _guards(
    settings: Settings,
    specs: Sequence[AgentSpec],
    egress: Callable[[], Egress] | None,
    files: Files | None,
) -> "GuardGate":
    """Return the guards of all agents and of single ones.

    Raises:
        ConfigError: One cannot be made.
    """
    from landline.gates.guards import Endpoint, FileLook, GuardGate, Made, rules_of, words_of

    def endpoint(name: str) -> "Endpoint | None":
        values: Mapping[str, Any] = dict(settings)
        url, key = values[f"guard_{name}_url"], values[f"guard_{name}_key"]
        if url is None or egress is None:
            return None
        shown = None if key is None else key.get_secret_value()
        return Endpoint(egress(), url, model=values[f"guard_{name}_model"], key=shown)

    words = list(settings.guard_words)
    try:
        if settings.guard_words_file is not None:
            words += words_of(settings.guard_words_file.read_text("utf-8").splitlines())
        made = Made(words=words, moderation=endpoint("moderation"), llamaguard=endpoint("llamaguard"))
        common = rules_of(settings.guards, made)
        own = {spec.name: rules_of(spec.guards, made) for spec in specs if spec.guards}
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"guards: {error}",
            where="guards, or the guards of an agent",
            how="write pii:redact; words need guard_words, moderation and llamaguard an address",
            code="config_invalid_value",
        ) from error
    refuse = settings.guard_unreadable == "block"
    look = FileLook(files, most_bytes=settings.guard_file_bytes, refuse=refuse) if files else None
    return GuardGate(
        lambda agent: [*common, *own.get(agent, ())],
        fail_open=settings.guard_fail == "open",
        timeout_s=settings.guard_timeout_s,
        files=look,
    )


def bulkheads_of(settings: Settings, specs: Sequence[AgentSpec], clock: Clock) -> Sequence[Gate]:
    """Return the gate of bulkheads, when there are any; one for an upstream that no agent has is told."""
    if not settings.bulkheads:
        return ()
    from landline.gates.bulkheads import Bulkheads, parse_all

    rules = parse_all(settings.bulkheads)
    upstreams = {spec.name: spec.upstream or spec.name for spec in specs}
    for rule in rules:
        if rule.scope == "upstream" and rule.only is not None and rule.only not in upstreams.values():
            logger.warning("a bulkhead is for the upstream %r, which no agent has", rule.only)
    queue, wait_s = settings.bulkhead_queue, settings.bulkhead_wait_s
    return (Bulkheads(rules, upstreams, clock, queue=queue, wait_s=wait_s),)


def budgets_of(
    settings: Settings, store: Store, clock: Clock, specs: Sequence[AgentSpec] = ()
) -> Sequence[Gate]:
    """Return the gate of budgets, of all agents and of single ones, when there are any."""
    if not settings.budgets and not any(spec.budgets for spec in specs):
        return ()
    from landline.gates.budgets import Budgets, Rule

    rules = [Rule.of(text) for text in settings.budgets]
    rules += [Rule.of(text, agent=spec.name) for spec in specs for text in spec.budgets]
    return (Budgets(rules, store, clock),)


def price_of(settings: Settings) -> Price:
    """Return what fills in the cost of model calls."""
    from landline.gates.budgets.prices import Prices

    return Prices(settings.prices)
