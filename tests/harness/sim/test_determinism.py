"""The same seed gives the same bytes: in fresh processes, whatever the hash seed and the folder."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PURE = (
    "harness/sim",
    "harness/clusters/sim.py",
    "harness/randomness.py",
    "systems/reference/core",
    "systems/reference/raft",
    "systems/reference/statemachine",
    "systems/reference/mutants",
    "systems/reference/host/sim.py",
)
BANNED_MODULES = {
    "asyncio",
    "datetime",
    "os",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
}
BANNED_CALLS = {"hash", "id"}
EXCEPTIONS = {("harness/sim/env.py", "asyncio")}
"""The trap stands where asyncio looks for its loop; nothing of asyncio runs."""

RUN = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("toy", sys.argv[1])
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
from dissensus.harness.sim.explore import run_seed
for seed in range(12):
    print(run_seed(seed, lambda rng, n: toy.ToySystem("ack-before-fsync"), lambda h: None))
"""


def outcomes(hash_seed: str, folder: Path) -> str:
    toy = str(Path(__file__).parent.with_name("toy.py"))
    done = subprocess.run(
        [sys.executable, "-c", RUN, toy],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    return done.stdout


def test_two_processes_with_different_hash_seeds_agree(tmp_path: Path) -> None:
    first = outcomes("1", tmp_path)
    assert first.count("digest=") == 12
    assert "state-machine-safety" in first
    assert first == outcomes("424242", ROOT)


def sources() -> list[Path]:
    found: list[Path] = []
    for place in PURE:
        path = ROOT / place
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return found


def hazards(path: Path, tree: ast.AST) -> list[str]:
    """What would make a run depend on more than its seed."""
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in BANNED_CALLS:
                found.append(f"{path}:{node.lineno}: {node.func.id}()")
        elif isinstance(node, (ast.For, ast.comprehension)) and is_set(node.iter):
            found.append(f"{path}:{node.iter.lineno}: iterates over a set")
        for name in names:
            if name in BANNED_MODULES and (str(path), name) not in EXCEPTIONS:
                found.append(f"{path}:{node.lineno}: imports {name}")  # type: ignore[attr-defined]
    return found


def is_set(node: ast.expr) -> bool:
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("set", "frozenset")


def test_nothing_in_the_simulated_world_knows_time_chance_or_hash_order() -> None:
    found = []
    for path in sources():
        found += hazards(path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8")))
    assert not found


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time", "imports time"),
        ("from os import urandom", "imports os"),
        ("x = hash('a')", "hash()"),
        ("for x in {1, 2}: pass", "iterates over a set"),
        ("x = [y for y in set(z)]", "iterates over a set"),
    ],
)
def test_the_lint_sees_each_hazard(code: str, words: str) -> None:
    (only,) = hazards(Path("f.py"), ast.parse(code))
    assert words in only
