"""A pytest plugin: the suite's results as a table of adapter and capability.

    pytest_plugins = ["landline.testing.adapters.matrix"]

A cell is `passed` when every test that is about the capability passed, `FAILED` when one did not, and `-` when the adapter
declares that it cannot. A declared capability without a test is `UNPROVEN`, and fails the session.
"""

from collections import defaultdict
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from landline.testing.adapters.steps import PROVES, Steps

__all__ = ["cells", "table"]

_NAME, _DECLARED = "adapter", "declares"


def cells(
    declared: Mapping[str, set[str]], outcomes: Mapping[str, Mapping[str, set[str]]]
) -> dict[str, dict[str, str]]:
    """Return what stands in each cell, by adapter and capability.

    `declared`: the capabilities of each adapter; `outcomes`: of each adapter and capability, how its tests ended.
    """
    every = sorted({name for names in declared.values() for name in names})
    return {
        adapter: {name: _cell(name in can, outcomes.get(adapter, {}).get(name, set())) for name in every}
        for adapter, can in declared.items()
    }


def _cell(can: bool, ended: set[str]) -> str:
    if "failed" in ended:
        return "FAILED"
    if not can:
        return "-"
    return "passed" if ended == {"passed"} else "UNPROVEN"


def table(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the table's lines: a row a capability, a column an adapter."""
    adapters = sorted(found)
    names = sorted({name for row in found.values() for name in row})
    first = max(map(len, names), default=0)
    widths = [max(len(adapter), 8) for adapter in adapters]
    lines = [" " * first + "".join(f"  {a:<{w}}" for a, w in zip(adapters, widths, strict=True))]
    for name in names:
        row = (f"  {found[adapter][name]:<{width}}" for adapter, width in zip(adapters, widths, strict=True))
        lines.append(f"{name:<{first}}{''.join(row)}")
    return [line.rstrip() for line in lines]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write on a suite test's report which capabilities of which adapter it was about; it crosses to xdist's summary."""
    report = yield
    suite: Any = getattr(item, "instance", None)
    if isinstance(suite, Steps) and report.when == "call":
        name = type(suite).__name__.removeprefix("Test")
        report.user_properties.append((_NAME, name))
        report.user_properties.append((_DECLARED, sorted(suite.kit.adapter.capabilities)))
        report.user_properties.extend((PROVES, proves) for proves in vars(suite).get(PROVES, ()))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    found = _gathered(terminalreporter.stats)
    if found and _whole(config):
        terminalreporter.section("adapters and what they can do")
        for line in table(found):
            terminalreporter.line(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Fail a whole session in which something is declared that no test of the suite is about."""
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and _whole(session.config) and not hasattr(session.config, "workerinput"):
        found = _gathered(terminal.stats)
        if session.exitstatus == 0 and any("UNPROVEN" in row.values() for row in found.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    yield


def _whole(config: pytest.Config) -> bool:
    # `lf` is an option of a plugin that may be switched off.
    chosen = config.getoption("keyword") or config.getoption("lf", False)
    return not (chosen or any("::" in argument for argument in config.args))


def _gathered(stats: Mapping[str, list[Any]]) -> dict[str, dict[str, str]]:
    declared: dict[str, set[str]] = {}
    outcomes: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for reports in stats.values():
        for report in reports:
            said: list[tuple[str, Any]] = getattr(report, "user_properties", [])
            if not said or said[0][0] != _NAME:
                continue
            name = said[0][1]
            declared.setdefault(name, set()).update(said[1][1])
            for capability in (value for key, value in said if key == PROVES):
                if report.outcome != "skipped":
                    outcomes[name][capability].add(report.outcome)
    return cells(declared, outcomes)
