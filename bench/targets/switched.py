"""`landline serve` with the faces of FACES on, which writes the names of all modules it has imported as it ends.

With FACES=core no face, and no package that only faces need, can be imported at all.

    python -m bench.targets.switched FILE serve …
"""

import atexit
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = ["OF_FACES"]

OF_FACES = (
    "landline.faces",
    "mcp",
    "mcp_types",
    "sse_starlette",
    "jsonschema",
    "a2a",
    "ag_ui",
    "openai",
    "google",
)
"""The faces, and what stands behind the extras of faces."""


class _Without(MetaPathFinder):
    """Finds what must not be there first, and says that it is not."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in OF_FACES):
            raise ModuleNotFoundError(f"{fullname} is not there", name=fullname)
        return None


def _write(path: Path) -> None:
    path.write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")


if __name__ == "__main__":
    written, faces, *arguments = sys.argv[1:]
    atexit.register(_write, Path(written))
    if faces == "core":
        sys.meta_path.insert(0, _Without())
        faces = ""
    sys.argv[1:] = [*arguments, "--faces", faces]
    from landline.cli.main import main

    main()
