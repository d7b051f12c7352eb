"""Disks: what a kill keeps, what a power failure takes, when an fsync is done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dissensus.harness.files import Files
from dissensus.harness.randomness import Rng
from dissensus.harness.sim.disk import Disk, SimFiles
from dissensus.harness.sim.kernel import Kernel

Make = Callable[[], tuple[Kernel, Disk, SimFiles, list[int]]]


@pytest.fixture
def make() -> Make:
    def build() -> tuple[Kernel, Disk, SimFiles, list[int]]:
        kernel = Kernel()
        disk = Disk(kernel, Rng(1, "disk"), fsync_lo_ns=100, fsync_hi_ns=900)
        done: list[int] = []
        return kernel, disk, SimFiles(disk, done.append), done

    return build


def durable_file(kernel: Kernel, files: Files, name: str, data: bytes) -> None:
    files.append(name, data)
    files.fsync(name)
    files.sync_dir()
    kernel.run()


def test_files_read_what_was_written(make: Make) -> None:
    _, _, files, _ = make()
    kept: Files = files
    kept.append("b", b"12")
    kept.append("b", b"34")
    kept.append("a", b"")
    kept.rename("a", "c")
    assert kept.list() == ["b", "c"]
    assert kept.read("b") == b"1234"
    assert kept.size("b") == 4
    kept.remove("c")
    assert kept.list() == ["b"]
    with pytest.raises(FileNotFoundError, match="'c'"):
        kept.read("c")


def test_fsyncs_take_time_and_complete_in_order(make: Make) -> None:
    kernel, _, files, done = make()
    files.append("a", b"x")
    tokens = [files.fsync("a") for _ in range(20)]
    assert done == []
    kernel.run()
    assert done == tokens == sorted(tokens)
    assert 100 <= kernel.now <= 900


def test_an_fsync_covers_what_was_there_when_it_began(make: Make) -> None:
    kernel, disk, files, _ = make()
    durable_file(kernel, files, "a", b"one")
    files.append("a", b"two")
    files.fsync("a")
    files.append("a", b"three")
    kernel.run()
    assert files.read("a") == b"onetwothree"
    assert disk.unsynced() == {"a": 5}
    assert disk.lose_unsynced() == {"a": 5}
    assert files.read("a") == b"onetwo"
    assert disk.lose_unsynced() == {"a": 0}
    assert disk.unsynced() == {}


def test_names_are_durable_by_sync_dir_alone(make: Make) -> None:
    kernel, disk, files, _ = make()
    durable_file(kernel, files, "old", b"1")
    files.append("new", b"22")
    files.fsync("new")
    files.rename("old", "moved")
    kernel.run()
    assert disk.lose_unsynced() == {"moved": 1, "new": 2}
    assert files.list() == ["old"]
    assert files.read("old") == b"1"
    files.remove("old")
    files.sync_dir()
    kernel.run()
    disk.lose_unsynced()
    assert files.list() == []


def test_a_killed_process_keeps_its_writes_and_hears_of_no_fsync(make: Make) -> None:
    kernel, disk, files, done = make()
    durable_file(kernel, files, "a", b"one")
    done.clear()
    files.append("a", b"two")
    files.fsync("a")
    files.detach()
    kernel.run()
    assert done == []
    again = SimFiles(disk, done.append)
    assert again.read("a") == b"onetwo"
    assert disk.lose_unsynced() == {"a": 3}


def test_a_torn_tail_keeps_a_prefix(make: Make) -> None:
    kept = set()
    for seed in range(40):
        kernel, disk, files, _ = make()
        durable_file(kernel, files, "a", b"one")
        files.append("a", b"two")
        lost = disk.lose_unsynced(Rng(seed, "torn"))
        assert files.read("a") == b"onetwo"[: 6 - lost["a"]]
        kept.add(lost["a"])
    assert kept == {0, 1, 2, 3}


def test_while_it_is_held_nothing_becomes_durable(make: Make) -> None:
    kernel, disk, files, done = make()
    durable_file(kernel, files, "a", b"12")
    done.clear()
    files.append("a", b"345")
    tokens = [files.fsync("a")]
    files.hold(True)
    tokens.append(files.fsync("a"))
    kernel.run()
    assert done == []
    assert disk.unsynced() == {"a": 3}
    files.hold(False)
    kernel.run()
    assert done == tokens
    assert disk.unsynced() == {}


def test_what_was_held_at_the_end_of_a_process_is_lost(make: Make) -> None:
    kernel, disk, files, _ = make()
    durable_file(kernel, files, "a", b"12")
    files.append("a", b"345")
    files.hold(True)
    files.fsync("a")
    kernel.run()
    files.detach()
    files.hold(False)
    kernel.run()
    assert disk.lose_unsynced() == {"a": 3}
