"""A harness that will be killed: `python victim.py RUN_DIR MODE` sets parrots up, cuts n1 off,
pauses n2, kills n3, says so, and waits. In mode "brief" an orphaned relay has no time left; in mode
"kept" it ends by itself and keeps its nodes up.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from dissensus.harness.cluster import pairs_between
from dissensus.harness.clusters import local


def main() -> None:
    spec = importlib.util.spec_from_file_location(
        "aviaries", Path(__file__).with_name("conftest.py")
    )
    assert spec is not None
    assert spec.loader is not None
    aviaries: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(aviaries)
    mode = sys.argv[2]
    if mode == "brief":
        local.ORPHAN_NS = 0
    a = aviaries.Aviary(Path(sys.argv[1]), keep=mode == "kept")
    journal = a.cluster.journal

    async def story(_: Any) -> None:
        await a.meet()
        journal.begin(1, "partition-one", {"do": "heal-links"})
        await a.cluster.links.cut(1, pairs_between(["n1"], ["n2", "n3", "c1"]))
        if mode == "kept":
            print("broken", flush=True)
            return
        journal.begin(2, "pause", {"do": "resume", "nodes": ["n2"]})
        await a.cluster.nodes["n2"].pause()
        journal.begin(3, "kill", {"do": "start", "nodes": ["n3"]})
        await a.cluster.nodes["n3"].kill()
        print("broken", flush=True)
        await a.cluster.env.sleep(60_000_000_000)

    a.run(story)


if __name__ == "__main__":
    main()
