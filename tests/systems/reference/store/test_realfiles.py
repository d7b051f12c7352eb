"""Real files: tokens in order, a truthful `synced` file, and fsyncs that can be held."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.synced import lose_unsynced, read_synced
from dissensus.systems.reference.store import realfiles
from dissensus.systems.reference.store.log import Store
from dissensus.systems.reference.store.realfiles import RealFiles
from dissensus.systems.reference.store.records import CorruptionError
from dissensus.systems.reference.wire.patches import LogFormat

WAIT_S = 10


class Place:
    """A data directory, and the files of one incarnation after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: queue.Queue[Any] = queue.Queue()
        self.open: list[RealFiles] = []

    def files(self) -> RealFiles:
        self.done = queue.Queue()
        files = RealFiles(self.folder, completed=self.done.put, failed=self.done.put)
        self.open.append(files)
        return files

    def next(self) -> Any:
        return self.done.get(timeout=WAIT_S)

    def boot(self, files: RealFiles) -> Store:
        known = files.known_durable()
        store = Store(files, LogFormat(), segment_bytes=400, known_durable=known)
        store.recover()
        while not store.booted:
            store.synced(self.next())
        return store


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for files in made.open:
        files.close()


def test_files_and_the_directory_are_really_synced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    real = os.fsync

    def spy(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", spy)
    monkeypatch.setattr(realfiles, "_fsync", spy)
    files = place.files()
    files.append("a", b"12345")
    for begin in (lambda: files.fsync("a"), files.sync_dir):
        token = begin()
        assert place.next() == token
    folder = place.folder / "store"
    assert synced == [(folder / "a").stat().st_ino, folder.stat().st_ino]


def test_synced_tells_what_is_durable_and_names_count_only_with_the_directory(place: Place) -> None:
    files = place.files()
    files.append("a", b"12345")
    token = files.fsync("a")
    assert place.next() == token
    assert read_synced(place.folder) == (["store"], {})
    files.append("a", b"678")
    token = files.sync_dir()
    assert place.next() == token
    assert read_synced(place.folder)[1] == {"store/a": 5}
    assert lose_unsynced(place.folder) == {"store/a": 3}
    assert (place.folder / "store" / "a").read_bytes() == b"12345"


def test_tokens_complete_in_order(place: Place) -> None:
    files = place.files()
    tokens = []
    for i in range(50):
        files.append(f"f{i % 3}", b"x" * 100)
        tokens.append(files.fsync(f"f{i % 3}") if i % 5 else files.sync_dir())
    assert [place.next() for _ in tokens] == tokens


def test_held_fsyncs_are_neither_noted_nor_reported(place: Place) -> None:
    files = place.files()
    files.append("a", b"1")
    files.fsync("a")
    files.sync_dir()
    place.next(), place.next()
    files.hold(True)
    files.append("a", b"2")
    token = files.fsync("a")
    with pytest.raises(queue.Empty):
        place.done.get(timeout=0.05)
    assert read_synced(place.folder)[1] == {"store/a": 1}
    files.hold(False)
    assert place.next() == token
    assert read_synced(place.folder)[1] == {"store/a": 2}


def test_removed_and_renamed_files_leave_the_list(place: Place) -> None:
    files = place.files()
    for name in ("a", "b.tmp"):
        files.append(name, b"1")
        files.fsync(name)
        place.next()
    files.rename("b.tmp", "b")
    files.sync_dir()
    place.next()
    assert read_synced(place.folder)[1] == {"store/a": 1, "store/b": 1}
    files.remove("a")
    assert read_synced(place.folder)[1] == {"store/b": 1}
    assert files.list() == ["b"]


def test_a_failed_fsync_is_reported_and_final(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(realfiles, "_fsync", broken)
    files = place.files()
    files.append("a", b"1")
    files.fsync("a")
    assert place.next() == "fsync of a failed: [Errno 5] Input/output error"
    files.sync_dir()
    with pytest.raises(queue.Empty):
        place.done.get(timeout=0.05)


def test_a_store_on_real_files_survives_losing_what_is_unsynced(place: Place, kit: Any) -> None:
    patches = kit.history(60)
    keys = kit.folds(patches)
    done = 0
    for generation in range(3):
        files = place.files()
        store = place.boot(files)
        assert store.durable.key() == keys[done]
        for patch in patches[done : done + 15]:
            store.append(patch)
            store.flush()
            while store.durable_up_to < store.appended:
                store.synced(place.next())
        done += 15
        files.hold(True)
        if generation != 1:
            store.append(patches[done])
            store.flush()
        files.close()
        assert sum(lose_unsynced(place.folder).values()) > 0 or generation == 1


def test_damage_below_the_note_is_found(place: Place, kit: Any) -> None:
    files = place.files()
    store = place.boot(files)
    for patch in kit.history(5):
        store.append(patch)
    store.flush()
    store.synced(place.next())
    files.close()
    last = sorted((place.folder / "store").iterdir())[-1]
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    with pytest.raises(CorruptionError, match=f"{last.name}: corrupt at offset"):
        place.boot(place.files())


@pytest.mark.skipif(not realfiles.BOOT_ID.exists(), reason="this system has no boot id")
def test_a_note_of_another_boot_of_the_machine_is_not_believed(place: Place) -> None:
    """After a power cut the note itself may be old: it is not fsynced."""
    files = place.files()
    place.boot(files)
    assert files.known_durable()
    files.close()
    path = place.folder / "synced"
    value = json.loads(path.read_bytes())
    path.write_text(json.dumps({**value, "boot": "another"}), encoding="utf-8")
    assert place.files().known_durable() == {}


def test_the_note_is_rewritten_by_one_write_that_never_shrinks(place: Place) -> None:
    files = place.files()
    for i in range(40):
        files.append(f"f{i:02}", b"1")
        files.fsync(f"f{i:02}")
    files.sync_dir()
    for _ in range(41):
        place.next()
    size = os.path.getsize(place.folder / "synced")
    for i in range(39):
        files.remove(f"f{i:02}")
    assert os.path.getsize(place.folder / "synced") == size
    assert read_synced(place.folder)[1] == {"store/f39": 1}
