"""The public names, read from `__all__` by syntax. `python -m tests.architecture.public_names` writes the snapshot."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.source import PACKAGE, module_name, parse, python_files

SNAPSHOT = Path(__file__).with_name("public_names.txt")
PUBLIC_DEPTH = 3  # landline, landline.<room>, landline.<room>.<unit>: three dots are private


def exported(path: Path) -> list[str]:
    """The literal `__all__` of a module, nothing if it has none.

    Raises:
        ValueError: `__all__` is computed, so nobody can read it.
    """
    for node in parse(path).body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if not isinstance(value, ast.List | ast.Tuple):
                raise ValueError(f"{path}: write __all__ as a list of names")
            return [str(ast.literal_eval(item)) for item in value.elts]
    return []


def public_names() -> list[str]:
    """Every public name, dotted and sorted."""
    names: list[str] = []
    for path in python_files(PACKAGE):
        parts = module_name(path).split(".")
        if len(parts) <= PUBLIC_DEPTH and not any(part.startswith("_") for part in parts):
            names += [f"{'.'.join(parts)}.{name}" for name in exported(path)]
    return sorted(names)


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join([*public_names(), ""]), encoding="utf-8")
    print(f"{len(public_names())} names written to {SNAPSHOT.name}")
