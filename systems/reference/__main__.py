"""Runs one node in the foreground: `python -m dissensus.systems.reference --config FILE`.

Exit 0 after SIGTERM or SIGINT, 3 when the machine refuses (port busy, disk full), 4 for a wrong
configuration, 70 after a PANIC line: an invariant of the protocol or the store is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from dissensus.harness.errors import DissensusError
from dissensus.systems.reference.host.config import load
from dissensus.systems.reference.host.kits import kit
from dissensus.systems.reference.host.node import ENVIRONMENT_EXIT, PANIC_EXIT, NodeHost
from dissensus.systems.reference.store.records import StoreError

SWITCH_INTERVAL_S = 0.0005
"""How long the fsync thread may wait for the interpreter; its default of 5 ms is 25 fsyncs."""


async def run(config_file: Path) -> int:
    """Run until a signal or a panic; the exit code."""
    config = load(config_file)
    host = NodeHost(config, kit(config.protocol))
    await host.start()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.stop)
    return await host.stopped


def main(argv: list[str] | None = None) -> int:
    """The command line of a node."""
    parser = argparse.ArgumentParser(prog="python -m dissensus.systems.reference")
    parser.add_argument("--config", type=Path, required=True, help="JSON or TOML: see NodeConfig")
    args = parser.parse_args(argv)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return asyncio.run(run(args.config))
    except DissensusError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except StoreError as error:
        print(f"PANIC store: {error}", file=sys.stderr)
        return PANIC_EXIT
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return ENVIRONMENT_EXIT


if __name__ == "__main__":
    sys.exit(main())
