"""The `synced` file: how a node tells the harness which of its bytes a power cut would spare.

A system that claims the capability "lose-unsynced" keeps `DATA_DIR/synced`, rewritten by one write
after each fsync and before anything that depends on it leaves the node:

    {"schema": 1, "dirs": ["store"], "files": {"store/0001.seg": 4096, ...}}

`files` gives the durable length of every file whose name is durable too; `dirs` the folders that
are ruled by the list: a file in one of them that is not listed would be lost as a whole. Paths are
relative to the data directory. The text may be padded with spaces at its end, because a node
rewrites it in place.

`lose_unsynced` does to a dead node's files what the power cut would have done. The file itself
needs no fsync: the kernel keeps it when a process is killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dissensus.harness.errors import SystemFault

FILE = "synced"
SCHEMA = 1


def read_synced(data_dir: Path) -> tuple[list[str], dict[str, int]]:
    """(`dirs`, `files`) of the node below `data_dir`. Raises SystemFault for a file that is no
    such.
    """
    path = data_dir / FILE
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise SystemFault(
            f"{path}: the node wrote no such file, so nothing is known durable"
        ) from None
    except ValueError as error:
        raise SystemFault(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise SystemFault(f"{path}: expected an object with schema {SCHEMA}, got {value!r:.100}")
    dirs, files = value.get("dirs"), value.get("files")
    if not isinstance(dirs, list) or not isinstance(files, dict):
        raise SystemFault(f"{path}: expected a list `dirs` and an object `files`")
    for name, length in files.items():
        if not isinstance(length, int) or length < 0:
            raise SystemFault(f"{path}: the length of {name!r} is {length!r}")
    for name in (*dirs, *files):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SystemFault(f"{path}: {name!r} lies outside of the data directory")
    return dirs, files


def sizes(data_dir: Path) -> dict[str, int]:
    """Present lengths of the files that the `synced` file rules, by relative path."""
    dirs, files = read_synced(data_dir)
    found = {}
    for folder in dirs:
        place = data_dir / folder
        for path in sorted(place.iterdir()) if place.is_dir() else []:
            if path.is_file() and path.name != FILE:
                found[path.relative_to(data_dir).as_posix()] = path.stat().st_size
    for name in files:
        if (data_dir / name).is_file():
            found[name] = (data_dir / name).stat().st_size
    return found


def lose_unsynced(data_dir: Path) -> dict[str, int]:
    """Cut every ruled file of a *dead* node to its durable length; remove those not listed.

    Returns the bytes lost per file (only files that lost some, or vanished; possibly none).
    Raises SystemFault when a file is shorter than the node said was durable: then the node lied,
    or somebody else changed its data.
    """
    _, files = read_synced(data_dir)
    now = sizes(data_dir)
    for name, length in files.items():
        if now.get(name, -1) < length:
            raise SystemFault(
                f"{data_dir / name}: {now.get(name, 'no')} bytes, but the node reported {length} as"
                " durable"
            )
    lost = {}
    for name, size in now.items():
        if name not in files:
            (data_dir / name).unlink()
            lost[name] = size
        elif size > files[name]:
            os.truncate(data_dir / name, files[name])
            lost[name] = size - files[name]
    return lost


def verify_lost(data_dir: Path) -> Mapping[str, tuple[int, int]]:
    """What still differs after `lose_unsynced`: {file: (durable length, present length)}, empty
    when the loss is complete. -1 stands for "none".
    """
    _, files = read_synced(data_dir)
    now = sizes(data_dir)
    return {
        name: (files.get(name, -1), now.get(name, -1))
        for name in sorted({*files, *now})
        if files.get(name, -1) != now.get(name, -1)
    }
