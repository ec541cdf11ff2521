"""From a target on the command line to agents: the file is imported, what it holds is found, what is broken is listed.

A target that cannot be imported becomes an entry with its error, so that the others are served (AGT-4). Which framework
an object belongs to is asked of the adapters; nothing here knows one.
"""

import inspect
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import reduce
from importlib.metadata import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from landline.app.agents import agent
from landline.app.faults import SetupError
from landline.app.importing import Source, blame, import_target
from landline.app.workflows import Workflow
from landline.model.agents import LoadError
from landline.ports.adapter import Adapter, AgentSpec
from landline.ports.egress import Egress
from landline.ports.routing import AUTO

__all__ = ["AgentsClash", "Loaded", "adopt", "load_agents", "load_all", "with_egress"]

logger = logging.getLogger(__name__)

SPEAKING = (ImportError, SyntaxError, NameError, AttributeError)
"""Errors whose text names code and not data, so that it may be shown to callers (TRU-17)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """An agent with the adapter that drives it, or the reason why there is none.

    `error` may be shown to callers. `cause` is set when it leaves out what the exception says: that is for the owner's
    terminal only.
    """

    spec: AgentSpec | None
    name: str
    adapter: Adapter | None
    error: LoadError | None = None
    cause: BaseException | None = None


class AgentsClash(SetupError):
    """Two different agents have one name (code `agents_clash`)."""

    def __init__(self, name: str, targets: Sequence[str]) -> None:
        super().__init__(
            f"two agents are named {name!r}",
            where=" and ".join(dict.fromkeys(targets)),
            how=f'give one another name: landline.agent(…, name="{name}_2")',
            code="agents_clash",
        )


def load_all(targets: Sequence[str], adapters: Sequence[Adapter]) -> list[Loaded]:
    """Load every target; an agent that two targets reach is listed once.

    Raises:
        AgentsClash: Two different agents have one name.
    """
    found: dict[str, tuple[Loaded, str]] = {}
    for target in targets:
        for loaded in load_agents(target, adapters):
            item, name = loaded, loaded.name
            if item.error and name in found:
                name = next(f"{item.name}_{n}" for n in range(2, 1000) if f"{item.name}_{n}" not in found)
                item = _broken(name, item.error, item.cause)
            other = found.setdefault(name, (item, target))
            if not _same(other[0], item):
                raise AgentsClash(name, [other[1], target])
    return [item for item, _ in found.values()]


def load_agents(target: str, adapters: Sequence[Adapter]) -> list[Loaded]:
    """Load `path.py`, `path.py:attr`, `module` or `module:attr`.

    Without an attribute every agent at module level is taken: described ones, those of a `Landline`, and objects of a
    framework, which are named after their variable. A plain function is an agent only when it is described with
    `landline.agent` or named as the attribute.

    Raises:
        AgentsClash: Two different agents have one name.
    """
    source = Source.of(target)
    try:
        module = import_target(source)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a target may raise anything, SystemExit too
        return [_unloadable(error, source)]
    if source.attribute:
        found = _attribute(module, source, adapters)
    else:
        found = list(_scan(module, adapters))
    if not found:
        message = "no agent found; describe one: assistant = landline.agent(function_or_object, name=...)"
        return [_broken(source.stem, LoadError(message=message, where=source.shown))]
    by_name: dict[str, Loaded] = {}
    for item in found:
        if not _same(by_name.setdefault(item.name, item), item):
            raise AgentsClash(item.name, [target])
    return list(by_name.values())


def adopt(obj: Any, adapters: Sequence[Adapter], *, name: str | None = None) -> Loaded:
    """Return `obj`, a described agent or a framework's own object, with its adapter or with the reason why it has none.

    Args:
        obj: What `landline.agent` returned, or an agent of a framework.
        adapters: Asked in order.
        name: For an object that was not described; without it, the name the object gives itself.
    """
    try:
        own = getattr(obj, "name", None) or getattr(obj, "__name__", None)
        spec = obj if isinstance(obj, AgentSpec) else agent(obj, name=name or str(own or "agent"))
    except ValueError as error:
        return _broken(re.sub(r"[^A-Za-z0-9_-]", "_", name or "agent")[:64], LoadError(message=str(error)))
    example, error = spec.agent, None
    if example is None and spec.make is not None:
        example, error = _example(spec)
    adapter = next((a for a in adapters if a.matches(example)), None) if example is not None else None
    if adapter is None:
        message = (
            error or f"no installed adapter takes a {type(example).__module__}.{type(example).__qualname__}"
        )
        return Loaded(spec=spec, name=spec.name, adapter=None, error=LoadError(message=message))
    return Loaded(spec=spec, name=spec.name, adapter=adapter)


def _example(spec: AgentSpec) -> tuple[Any, str | None]:
    """Make one agent of a factory, to see its framework."""
    hint = f"landline.agent(example, name={spec.name!r}, factory=...)"
    try:
        made = spec.make(None) if spec.make else None
    except Exception as error:  # noqa: BLE001 - the factory is the user's code
        return None, f"the factory needs a context ({type(error).__name__}); give an example: {hint}"
    if inspect.isawaitable(made):
        if inspect.iscoroutine(made):
            made.close()
        return None, f"the factory is async; give an example: {hint}"
    return made, None


def _attribute(module: ModuleType, source: Source, adapters: Sequence[Adapter]) -> list[Loaded]:
    try:
        obj = reduce(getattr, source.attribute.split("."), cast("Any", module))
    except Exception as error:  # noqa: BLE001 - a module's own __getattr__ may import more, and that may raise anything
        if not isinstance(error, AttributeError) or not _misses(error, source.attribute):
            return [_unloadable(error, source)]
        near = get_close_matches(source.attribute, [n for n in vars(module) if not n.startswith("_")], n=1)
        message = f"{source.shown} has no {source.attribute!r}" + (
            f"; did you mean {near[0]!r}?" if near else ""
        )
        return [_broken(source.stem, LoadError(message=message, where=source.shown))]
    several = list(_described(obj))
    if several or isinstance(obj, list | tuple | Workflow | Mapping) or _is_landline(obj):
        return [adopt(spec, adapters) for spec in several] + _of_landline(obj, adapters)
    return [adopt(obj, adapters, name=source.attribute.split(".")[-1])]


def _scan(module: ModuleType, adapters: Sequence[Adapter]) -> Iterator[Loaded]:
    """Yield what the module holds: described agents first, so that what they wrap is not listed a second time."""
    public = {name: obj for name, obj in vars(module).items() if not name.startswith("__")}
    taken: set[int] = set()
    for obj in public.values():
        for spec in _described(obj):
            if id(spec) not in taken:
                taken |= {id(spec), id(spec.agent)}
                yield adopt(spec, adapters)
        if _is_landline(obj) and id(obj) not in taken:
            taken.add(id(obj))
            for item in _of_landline(obj, adapters):
                taken |= {id(item.spec), id(item.spec.agent if item.spec else None)}
                yield item
    for name, obj in public.items():
        if (
            name.startswith("_")
            or id(obj) in taken
            or isinstance(obj, type | ModuleType)
            or inspect.isroutine(obj)
        ):
            continue
        if any(adapter.matches(obj) for adapter in adapters):
            taken.add(id(obj))
            yield adopt(obj, adapters, name=name)


def _described(obj: Any) -> Iterator[AgentSpec]:
    """Yield the described agents that `obj` is or, as a list or a registry of workflows, holds."""
    if isinstance(obj, AgentSpec):
        yield obj
    elif isinstance(obj, list | tuple | Workflow):
        yield from (item for item in cast("Sequence[Any]", obj) if isinstance(item, AgentSpec))


def _is_landline(obj: Any) -> bool:
    """Tell by name: an application that holds no `Landline` should not have to import one."""
    return any((c.__module__, c.__name__) == ("landline.app.build", "Landline") for c in type(obj).__mro__)


def _of_landline(obj: Any, adapters: Sequence[Adapter]) -> list[Loaded]:
    if not _is_landline(obj):
        return []
    if left := getattr(obj, "beside_agents", []):
        text = "of a Landline in a file only the agents are served; %s: run the app itself to have it"
        logger.warning(text, ", ".join(left))
    return [adopt(item, adapters) for item in obj.agents]


def _same(one: Loaded, other: Loaded) -> bool:
    if one.spec is None or other.spec is None:
        return one is other
    return one.spec is other.spec or (one.spec.agent is other.spec.agent and one.spec.agent is not None)


def _broken(name: str, error: LoadError, cause: BaseException | None = None) -> Loaded:
    shown = f"{name}_" if name == AUTO else name
    return Loaded(spec=None, name=shown, adapter=None, error=error, cause=cause)


def _unloadable(error: BaseException, source: Source) -> Loaded:
    return _broken(source.stem, _load_error(error, source), None if isinstance(error, SPEAKING) else error)


def _misses(error: AttributeError, attribute: str) -> bool:
    """Tell whether it is the attribute itself that is not there, or something in what was run to make it."""
    return any(repr(name) in str(error) for name in attribute.split("."))


def _load_error(error: BaseException, source: Source) -> LoadError:
    kind = type(error).__name__
    if isinstance(error, ImportError) and error.path and Path(error.path) == source.path:
        text = f"{kind}: {error.msg} (the file's own name hides a package of that name: rename the file)"
    elif isinstance(error, ModuleNotFoundError) and (extra := _extra_of(error.name or "")):
        text = f"{kind}: {error.msg}; install it: pip install 'landline[{extra}]'"
    elif isinstance(error, SyntaxError):
        text = f"{kind}: {error.msg}"
    elif isinstance(error, SPEAKING):
        text = f"{kind}: {error}"
    else:
        text = f"{kind} when it was imported"
    return LoadError(message=text, where=blame(error, source))


def _extra_of(module: str) -> str | None:
    """Return the optional extra of Landline that brings a framework (ADP-10)."""
    extra = module.split(".", maxsplit=1)[0].replace("_", "-")
    return extra if extra in (metadata("landline").get_all("Provides-Extra") or []) else None


def with_egress(loaded: Sequence[Loaded], egress: Callable[[], Egress]) -> list[Loaded]:
    """Return the agents with the adapters that call other servers bound to this server's egress policy."""
    bound: dict[int, Adapter] = {}
    items: list[Loaded] = []
    for item in loaded:
        bind: Callable[[Egress], Adapter] | None = getattr(item.adapter, "with_egress", None)
        if bind is not None:
            key = id(item.adapter)
            bound[key] = bound.get(key) or bind(egress())
            items.append(replace(item, adapter=bound[key]))
        else:
            items.append(item)
    return items
