"""Imports point one way: everybody may know the harness's vocabulary, the harness knows nobody."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OUTER = ("systems", "nemeses", "checkers", "reports", "specs")
FOLDERS = ("harness", *OUTER)

ALLOWED = {
    "harness": {"harness"},
    "nemeses": {"harness", "nemeses"},
    "checkers": {"harness", "checkers"},
    "reports": {"harness", "reports"},
    "specs": {"harness", "specs"},
    "systems": {"harness", "systems"},
}
"""Folder -> folders that it may import."""

CORES = ("core", "raft", "statemachine", "mutants")
"""Folders of systems/reference that are sans-I/O: they import each other and pure parts of the
standard library.
"""
PURE_STDLIB = {
    "__future__",
    "abc",
    "array",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "math",
    "operator",
    "struct",
    "sys",
    "types",
    "typing",
    "typing_extensions",
    "zlib",
}
"""No clock, socket, file, random, logging, async among them."""

OLD_SYNTAX = (
    "systems/reference/core",
    "systems/reference/raft",
    "systems/reference/statemachine",
    "systems/reference/mutants",
    "systems/reference/store",
    "harness/sim",
    "harness/errors.py",
    "harness/files.py",
    "harness/randomness.py",
    "harness/simnode.py",
    "harness/synced.py",
)
"""What PyPy 3.9 must be able to run."""


def modules(folder: str) -> list[Path]:
    place = ROOT / folder
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def imported(path: Path) -> list[tuple[int, str]]:
    """(line, absolute module name) of every import in a file, late ones included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            found.append((node.lineno, node.module or ""))
            if node.module == "dissensus":
                found += [(node.lineno, f"dissensus.{alias.name}") for alias in node.names]
    return found


def folders_of(name: str) -> str | None:
    """ "harness" of "dissensus.harness.ops", None for other modules."""
    parts = name.split(".")
    return parts[1] if parts[0] == "dissensus" and len(parts) > 1 and parts[1] in FOLDERS else None


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_what_it_may_know(folder: str) -> None:
    wrong = []
    for path in modules(folder):
        if folder == "harness" and path.name.startswith("cli"):
            continue
        for line, name in imported(path):
            target = folders_of(name)
            if target and target not in ALLOWED[folder]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_only_the_command_line_knows_everybody_and_only_late() -> None:
    """cli modules import the outer folders inside functions, so that each command loads its own."""
    wrong = []
    for path in (ROOT / "harness").glob("cli*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and folders_of(node.module or "") in OUTER:
                wrong.append(f"{path.name}:{node.lineno} imports {node.module}")
    assert not wrong


def test_nobody_imports_the_bare_folders() -> None:
    """`import harness` at the top of the repository makes a second copy of every module."""
    wrong = []
    for folder in (*FOLDERS, "tests", "benchmarks"):
        for path in modules(folder):
            for line, name in imported(path):
                if name.split(".")[0] in FOLDERS:
                    wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_reference_cores_import_nothing_but_cores() -> None:
    own = tuple(f"dissensus.systems.reference.{core}" for core in CORES)
    wrong = []
    for core in CORES:
        for path in modules(f"systems/reference/{core}"):
            for line, name in imported(path):
                pure = name.split(".")[0] in PURE_STDLIB or name.startswith(own)
                if not pure and name != "dissensus.systems.reference":
                    wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_the_simulator_does_not_know_the_systems() -> None:
    wrong = []
    for place in ("harness/sim", "harness/clusters"):
        for path in modules(place):
            for line, name in imported(path):
                if folders_of(name) in OUTER:
                    wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_what_pypy_runs_parses_as_python_3_9() -> None:
    wrong = []
    for place in OLD_SYNTAX:
        for path in modules(place):
            text = path.read_text(encoding="utf-8")
            try:
                tree = ast.parse(text, feature_version=(3, 9))
            except SyntaxError as error:
                wrong.append(f"{path.relative_to(ROOT)}:{error.lineno}: {error.msg}")
                continue
            future = any(
                isinstance(node, ast.ImportFrom) and node.module == "__future__"
                for node in tree.body
            )
            if not future and len(tree.body) > 1:
                # `X | None` in an annotation is evaluated by 3.9 without it.
                wrong.append(f"{path.relative_to(ROOT)}: no `from __future__ import annotations`")
    assert not wrong


def test_importing_the_package_loads_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import dissensus; "
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('_')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['dissensus']"


def test_help_loads_no_part_of_the_framework() -> None:
    """What --help imports is what the budget of 100 ms pays for."""
    code = (
        "import sys; from dissensus.harness.cli import call; code = call(['--help']); "
        "print(code, sorted(m for m in sys.modules if m.startswith('dissensus.') or "
        "m in ('rich', 'msgspec', 'asyncio', 'jinja2')), file=sys.stderr)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stderr.strip() == "0 ['dissensus.harness', 'dissensus.harness.cli']"
