"""The structure of the source as numbers: files, lines, folders, imports that run upward, circles.

    python bench/structure.py [FOLDER]

FOLDER is a checkout, this one by default. Imports inside functions count; those for type checkers alone do not.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

# From the ground up: a layer knows those below it, and nothing of those above.
LAYERS = (
    ("errors", "version", "results", "atomic"),
    (
        "model.state",
        "model.names",
        "model.sequence",
        "model.config",
        "model.torchaudio",
        "model.quantization",
        "model.packing",
        "model.typed_json",
    ),
    ("text", "media"),
    ("frontends", "encoders", "cores"),
    ("search",),
    ("heads",),
    ("model",),
    ("published",),
    ("engine",),
    ("export",),
    ("formats",),
    ("server", "archive"),
    ("data", "evaluation"),
    ("training",),
    ("cli", "__main__"),
)


def layer(module: str) -> int | None:
    """The number of a module's layer, from 0; None for one that has no place."""
    name = module.removeprefix("transducer.")
    found = [
        (len(prefix), number)
        for number, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if name == prefix or name.startswith(f"{prefix}.")
    ]
    return max(found)[1] if found else None


def modules(root: Path) -> dict[str, Path]:
    """Name -> file of every module of the package."""
    found = {}
    for path in sorted((root / "transducer").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)] = path
    return found


def imports(path: Path, known: set[str]) -> Iterator[tuple[int, str]]:
    """(line, module) of every import of one of the modules."""

    def visit(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    for node in visit(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{name}" for name in names]
            names = [name if name in known else str(node.module) for name in inside]
        for name in names:
            if name in known:
                yield node.lineno, name


def upward(root: Path) -> list[str]:
    """One line for each import of a module of a higher layer."""
    found = modules(root)
    lines = []
    for name, path in found.items():
        here = layer(name)
        for line, target in imports(path, set(found)):
            there = layer(target)
            if here is not None and there is not None and there > here:
                lines.append(f"{path.relative_to(root)}:{line}: {name} imports {target}")
    return lines


def homeless(root: Path) -> list[str]:
    """Modules that are in no layer."""
    return [name for name in modules(root) if layer(name) is None]


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    for folder in ("transducer", "pipelines", "tests"):
        files = list((root / folder).rglob("*.py"))
        sizes = sorted(len(path.read_text().splitlines()) for path in files)
        folders = {path.parent for path in files}
        print(
            f"{folder:12} {len(files):4} files in {len(folders):3} folders, {sum(sizes):6} lines, "
            f"median {sizes[len(sizes) // 2]}, longest {sizes[-1]}"
        )
    lines = upward(root)
    print(f"{len(lines)} imports run upward, {len(homeless(root))} modules are in no layer")
    for line in lines:
        print(f"    {line}")


if __name__ == "__main__":
    main()
