"""How long `import dissensus` and `dissensus --help` take beyond the interpreter's own start.

    python benchmarks/startup.py [ROUNDS]

Each round starts three processes in turn, so that all see the same machine: the bare interpreter,
the import, the help. Printed are medians and differences; exit 1 where a difference is over its
budget (30 ms, 100 ms: DESIGN 10).
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

IMPORT_MS_MAX = 30.0
HELP_MS_MAX = 100.0
ROUNDS = 15

PROGRAMS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import dissensus": [sys.executable, "-c", "import dissensus"],
    "dissensus --help": [str(Path(sys.executable).parent / "dissensus"), "--help"],
}


def took_ms(argv: list[str]) -> float:
    """Wall time of one process, in milliseconds."""
    begin = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def main() -> int:
    """Measure, print, compare."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    for argv in PROGRAMS.values():
        took_ms(argv)  # once for the files' sake: byte code written, pages in memory
    seen: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, argv in PROGRAMS.items():
            seen[name].append(took_ms(argv))
    median = {name: sorted(times)[rounds // 2] for name, times in seen.items()}
    base = median["python -c pass"]
    over_import = median["import dissensus"] - base
    over_help = median["dissensus --help"] - base
    print(f"interpreter {base:.1f} ms (median of {rounds})")
    print(f"import dissensus {over_import:+.1f} ms (at most {IMPORT_MS_MAX:.0f})")
    print(f"dissensus --help {over_help:+.1f} ms (at most {HELP_MS_MAX:.0f})")
    return int(over_import > IMPORT_MS_MAX or over_help > HELP_MS_MAX)


if __name__ == "__main__":
    sys.exit(main())
