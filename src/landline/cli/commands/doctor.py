"""`landline doctor`: is this installation well, and its data? Every finding says what to do."""

import asyncio
from typing import Annotated, Any

import typer

from landline.cli import options as o
from landline.cli.exits import Exit
from landline.cli.output import show, table
from landline.model.redaction import redacted_data

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def doctor(
    check_log: Annotated[
        bool,
        typer.Option("--check-log", help="Verify every log: ids without gap, one end, nothing after it."),
    ] = False,
    data: o.Data = None,
    port: o.Port = None,
    as_json: o.AsJson = False,
) -> None:
    """Check versions, extras, the data folder, the disk and the port; exit code 1 when something is wrong."""
    from landline.cli.checks import Check, all_checks

    found = asyncio.run(all_checks({"data": data, "port": port}, check_log=check_log))

    def rows(checks: list[dict[str, Any]]) -> str:
        return table([(c["state"], c["name"], c["says"]) for c in checks])

    def shown(check: Check) -> dict[str, Any]:
        says = f"{check.says}: {check.how}" if check.how and not as_json else check.says
        found = {"state": check.state, "name": check.name, "says": says}
        return redacted_data(found | ({"how": check.how} if as_json else {}))

    show([shown(check) for check in found], as_json, rows)
    if any(check.state == "bad" for check in found):
        raise typer.Exit(Exit.FAILURE)
