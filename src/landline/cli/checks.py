"""The checks of `landline doctor`: each looks at one thing and changes nothing but an empty database."""

import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from landline import __version__
from landline.app.faults import SetupError

if TYPE_CHECKING:
    from landline.app.settings import Settings

LEAST_PYTHON = (3, 11)
LEAST_SQLITE = (3, 35)
"""RETURNING, which the statements use, is there from 3.35 on."""
LEAST_FREE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: `ok`, `note` (nothing is wrong, but know it), or `bad` with how to mend it."""

    name: str
    state: Literal["ok", "note", "bad"]
    says: str
    how: str | None = None


async def all_checks(options: Mapping[str, Any], *, check_log: bool) -> list[Check]:
    """Run every check; one that cannot run is a finding, not an error."""
    found = [_versions(), _sqlite(), *_adapters(), *_streams()]
    from landline.app.settings import load_settings

    try:
        settings = load_settings(options)
    except SetupError as error:
        return [*found, Check("config", "bad", f"{error.what} ({error.where})", error.how)]
    changed = sum(source != "default" for source in settings.sources().values())
    found.append(Check("config", "ok", f"{changed} settings are not the default; see: landline config show"))
    found += [_folder(settings.data), _disk(settings.data), _port(settings)]
    return [*found, *await _database(settings, check_log=check_log)]


def _versions() -> Check:
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < LEAST_PYTHON:
        return Check("python", "bad", python, "Landline needs Python 3.11 or newer")
    return Check("python", "ok", f"{python}, landline {__version__}")


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        return Check(
            "sqlite", "bad", sqlite3.sqlite_version, "3.35 or newer is needed: take a newer Python build"
        )
    return Check("sqlite", "ok", sqlite3.sqlite_version)


def _streams() -> list[Check]:
    """Look whether what models stream can be merged below each HTTP library that SDKs use (docs/streams.md)."""
    from landline.app.streams import fitting_libraries

    return [
        Check(f"streams {name}", "ok", "its clients merge what waits")
        if fits
        else Check(f"streams {name}", "note", "its clients are left as they are", "tell us the version")
        for name, fits in fitting_libraries().items()
    ]


def _adapters() -> list[Check]:
    """Look whether each adapter loads and its framework is there."""
    from importlib.util import find_spec

    checks: list[Check] = []
    for point in sorted(entry_points(group="landline.adapters"), key=lambda point: point.name):
        try:
            point.load()
        except Exception as error:  # noqa: BLE001 - a stranger's adapter may raise anything
            checks.append(
                Check(f"adapter {point.name}", "bad", f"{type(error).__name__}: {error}", "reinstall it")
            )
            continue
        if point.name == "plain" or find_spec(point.name):
            checks.append(Check(f"adapter {point.name}", "ok", "ready"))
        else:
            how = f"pip install 'landline[{point.name.replace('_', '-')}]'"
            checks.append(Check(f"adapter {point.name}", "note", "its framework is not installed", how))
    return checks


def _folder(folder: Path) -> Check:
    if not folder.exists():
        parent = next(part for part in folder.absolute().parents if part.exists())
        if os.access(parent, os.W_OK):
            return Check("data", "ok", f"{folder} is not there yet and can be made")
        return Check(
            "data", "bad", f"{folder} cannot be made in {parent}", "choose another one: --data FOLDER"
        )
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "data",
            "bad",
            f"{folder} cannot be written",
            f"chmod u+rwx {folder}, or choose another: --data FOLDER",
        )
    if folder.stat().st_mode & 0o007:
        return Check(
            "data", "note", f"{folder} may be entered by every user of this machine", f"chmod 700 {folder}"
        )
    return Check("data", "ok", str(folder))


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(
        next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    ).free
    if free < LEAST_FREE_BYTES:
        return Check(
            "disk", "bad", f"{free // 2**20} MB free", "make room: writes are refused when it is full"
        )
    return Check("disk", "ok", f"{free / 2**30:.1f} GB free")


def _port(settings: "Settings") -> Check:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host.strip("[]"), settings.port))
        except OSError as error:
            return Check(
                "port",
                "note",
                f"{settings.host}:{settings.port}: {error.strerror}",
                "fine if this is Landline",
            )
    return Check("port", "ok", f"{settings.host}:{settings.port} is free")


async def _database(settings: "Settings", *, check_log: bool) -> list[Check]:
    from landline.app.upkeep import broken_invariants, has_key, prepare_database
    from landline.model.errors import LandlineError

    path = settings.database_path
    if not path.exists():
        return [Check("database", "ok", f"{path} is not there yet: the first start makes it")]
    try:
        await prepare_database(settings)
        found = [Check("database", "ok", str(path))]
        if not settings.loopback and not settings.signs_in and not await has_key(settings):
            found.append(
                Check("keys", "bad", "bound off loopback without a key", "landline keys create --user NAME")
            )
        if check_log:
            broken = await broken_invariants(settings)
            found += [Check("log", "bad", sentence) for sentence in broken] or [
                Check("log", "ok", "every invariant holds")
            ]
    except LandlineError as error:
        state = "note" if error.code == "database_locked" and not check_log else "bad"
        how = "stop the server first" if error.code == "database_locked" else None
        return [Check("database", state, f"{path}: {error.detail}", how)]
    return found
