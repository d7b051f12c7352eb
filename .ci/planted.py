"""Plants each bug of `checkers/engine/src/planted.rs` in the engine and runs the tests of its
module until one fails: a bug that no test finds is a hole in the tests.

    python .ci/planted.py [NAME...]

One build serves all: the bug is chosen at run time. Without a bug the same tests must pass.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ENGINE = Path(__file__).resolve().parent.parent / "checkers" / "engine"
CARGO = (
    "cargo test --release --no-default-features --features planted --no-run"
    " --target-dir target/planted --message-format=json"
)
SECONDS_MAX = 300
"""For the tests of one module, on a busy machine."""
TESTS = {
    "search": [("dissensus_engine", "search::")],
    "txn": [("dissensus_engine", "txn::")],
    "certify": [("dissensus_engine", "certify::")],
    "lint": [("dissensus_engine", "lint::")],
    "formats": [("dissensus_engine", "formats::"), ("formats", ""), ("formats_fuzz", "")],
    "fast": [("values", ""), ("collections", ""), ("dissensus_engine", "fast::")],
    "models": [("collections", ""), ("values", "")],
}
"""Folder or file of src -> (test program, filter) that are to find its bugs."""


def build() -> dict[str, str]:
    """Test program -> its path."""
    done = subprocess.run(
        CARGO.split(),
        cwd=ENGINE,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = {}
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["kind"] != ["example"]:
            found[message["target"]["name"]] = message["executable"]
    return found


def bugs() -> dict[str, str]:
    """Bug -> the folder or file of src in which it is planted. Every bug of the table is planted
    somewhere, and every planted one is in the table.
    """
    table = (ENGINE / "src" / "planted.rs").read_text(encoding="utf-8")
    names = set(re.findall(r'\(\s*"([a-z0-9-]+)",\s*"', table.split("PLANTED:", 1)[1]))
    places = {}
    for path in sorted((ENGINE / "src").rglob("*.rs")):
        if path.name == "planted.rs":
            continue
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r'(?:planted!|chosen)\(\s*"([a-z0-9-]+)"', text):
            places[name] = path.relative_to(ENGINE / "src").parts[0].removesuffix(".rs")
    if names != set(places):
        raise SystemExit(f"in the table or planted, but not both: {sorted(names ^ set(places))}")
    return places


def fails(program: str, pattern: str, bug: str) -> str | None:
    """The first test that fails, None where all pass."""
    running = subprocess.Popen(
        [program, *([pattern] if pattern else [])],
        cwd=ENGINE,
        env={**os.environ, "DISSENSUS_PLANTED": bug, "RUST_BACKTRACE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + SECONDS_MAX
    ended = False
    assert running.stdout is not None
    for line in running.stdout:
        if found := re.match(r"test (\S+).* \.\.\. FAILED", line):
            running.kill()
            running.wait()
            return found[1]
        ended = ended or line.startswith("test result: ok")
        if time.monotonic() > deadline:
            running.kill()
    code = running.wait()
    if not ended:
        return f"{Path(program).name} ended with {code}"
    return None


def main(names: list[str]) -> int:
    """Every bug, or those named. 1 where one survives, or where a test fails without any."""
    places = bugs()
    programs = build()
    chosen = {name: place for name, place in places.items() if not names or name in names}
    wrong = 0
    for place in sorted(set(chosen.values())):
        for program, pattern in TESTS[place]:
            if test := fails(programs[program], pattern, ""):
                print(f"FAILED without a bug: {test}", flush=True)
                wrong += 1
    for name, place in chosen.items():
        begin = time.monotonic()
        tests = (fails(programs[p], pattern, name) for p, pattern in TESTS[place])
        test = next(filter(None, tests), None)
        wrong += test is None
        took = time.monotonic() - begin
        print(
            f"{name}: {'SURVIVES' if test is None else f'killed by {test}'} ({took:.0f} s)",
            flush=True,
        )
    print(f"{len(chosen)} planted bugs, {wrong} failures")
    return 1 if wrong or not chosen else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
