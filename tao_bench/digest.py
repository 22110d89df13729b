"""Content hashes: what a name like `warehouse_sql@1` meant on the day a row was written.

Code is hashed without comments, docstrings and blank lines, so that a wording fix does not look
like a changed verifier; everything a module imports from `tao` and `tao_bench` is hashed with it.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from tao.stage import digest, file_digest

PACKAGES = ("tao", "tao_bench")
ROOT = Path(__file__).resolve().parent.parent
SHORT = 12
_SOURCES = 512
"""Sources whose reading is kept: an experiment's cells hash the same files, a second and more of it each."""


def tree_digest(folder: Path, skip: Iterable[str] = ()) -> str:
    """12 hex digits over every file below a folder: relative name and content.

    Args:
        folder: The folder.
        skip: Names (of files or folders, at any depth) left out.
    """
    unwanted = set(skip)
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in found if not unwanted & set(path.relative_to(folder).parts)]
    return digest([[path.relative_to(folder).as_posix(), file_digest(path)] for path in kept])[:SHORT]


@lru_cache(_SOURCES)
def bare_source(source: str) -> str:
    """Python source without comments, docstrings and blank lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                for row in range(first.lineno - 1, first.end_lineno or first.lineno):
                    lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _module_file(module: str) -> Path | None:
    """The file of a module of ours, or None for a name that is no module (an imported object)."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@lru_cache(_SOURCES)
def _imported(source: str) -> frozenset[str]:
    """Names that Python source imports which may be modules of ours."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name.split(".")[0] in PACKAGES)


def imported_modules(source: str) -> set[str]:
    """Names of our own modules that Python source imports, wherever in the file it does so."""
    return {name for name in _imported(source) if _module_file(name)}


def code_digest(sources: Iterable[Path]) -> str:
    """12 hex digits of source files and of every module of ours they import, directly or not.

    Names are sorted and paths are left out, so the digest does not depend on where things are installed.
    """
    bodies: dict[str, str] = {}
    queue: list[str] = []
    for path in sources:
        source = path.read_text(encoding="utf-8")
        bodies[f"./{path.name}"] = bare_source(source)
        queue.extend(imported_modules(source))
    while queue:
        module = queue.pop()
        file = _module_file(module)
        if module in bodies or file is None:
            continue
        source = file.read_text(encoding="utf-8")
        bodies[module] = bare_source(source)
        queue.extend(imported_modules(source))
    return digest(bodies)[:SHORT]
