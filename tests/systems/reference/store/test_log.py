"""The store keeps what it reported durable through every crash, and accepts no damaged byte."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dissensus.systems.reference.store.log import SEGMENTS_MAX, Store
from dissensus.systems.reference.store.records import CorruptionError, StoreError
from dissensus.systems.reference.wire.patches import LogFormat

SEGMENT_BYTES = 300


def boot(files: Any, segment_bytes: int = SEGMENT_BYTES) -> Store:
    store = Store(files, LogFormat(), segment_bytes=segment_bytes)
    store.recover()
    while not store.booted:
        store.synced(files.complete())
    return store


def written(kit: Any, count: int, segment_bytes: int = SEGMENT_BYTES) -> tuple[Any, list[Any]]:
    """A disk with `count` patches, all durable."""
    files = kit.Files()
    store = boot(files, segment_bytes)
    patches = kit.history(count)
    for patch in patches:
        store.append(patch)
        store.flush()
        while files.pending:
            store.synced(files.complete())
    assert store.durable_up_to == count
    return files, patches


def test_every_crash_leaves_a_prefix_with_all_that_was_reported(kit: Any) -> None:
    patches = kit.history(60)
    keys = kit.folds(patches)
    files = kit.Files()
    store = boot(files)
    tried = 0
    for number, patch in enumerate(patches, 1):
        store.append(patch)
        store.flush()
        for _ in range(1 if number % 4 else len(files.pending)):
            for content in files.crashes():
                tried += 1
                after = kit.recovered(content, segment_bytes=SEGMENT_BYTES)[1].key()
                assert after in keys[store.durable_up_to : number + 1], content.keys()
            if files.pending:
                store.synced(files.complete())
    assert store.counters["snapshots"] >= 2
    assert store.counters["segments"] >= 6
    assert tried > 5_000


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_generations_of_crashes(kit: Any, data: st.DataObject) -> None:
    """Crash, recover, go on, several times over: a model of prefixes, each from the last one."""
    patches = kit.history(80)
    keys = kit.folds(patches)
    content: dict[str, bytes] = {}
    done = 0
    for _ in range(4):
        files = kit.Files(content)
        store = boot(files)
        assert store.durable.key() == keys[done]
        at = done
        for action in data.draw(st.lists(st.sampled_from(["append", "sync", "both"]), max_size=25)):
            if action != "sync" and at < len(patches):
                store.append(patches[at])
                at += 1
                store.flush()
            if action != "append" and files.pending:
                store.synced(files.complete())
        choices = list(files.crashes())
        content = choices[data.draw(st.integers(0, len(choices) - 1))]
        key = kit.recovered(content, segment_bytes=SEGMENT_BYTES)[1].key()
        # Equal states of different prefixes are one to the model: take the first that fits.
        fits = [n for n in range(done + store.durable_up_to, at + 1) if keys[n] == key]
        assert fits
        done = fits[0]


def test_a_flipped_bit_is_found_wherever_it_is(kit: Any) -> None:
    """With the note of what was durable, every flip; a flip can only ever cost the very end."""
    files, patches = written(kit, 40)
    keys = kit.folds(patches)
    whole = {name: files.read(name) for name in files.list()}
    known = {name: len(text) for name, text in whole.items()}
    silent = 0
    for name, text in whole.items():
        for offset in range(len(text)):
            bad = bytearray(text)
            bad[offset] ^= 1 << offset % 8
            content = {**whole, name: bytes(bad)}
            with pytest.raises(CorruptionError) as caught:
                kit.recovered(content, known_durable=known)
            assert caught.value.name == name
            assert caught.value.offset <= offset
            try:
                after = kit.recovered(content)[1].key()
            except CorruptionError:
                continue
            # Without the note, the last record alone cannot be told from a torn write.
            silent += 1
            assert name == max(n for n in whole if n.endswith(".seg"))
            assert after == keys[-2]
    assert silent < 120


def test_a_missing_file_is_found(kit: Any) -> None:
    files, _ = written(kit, 47, segment_bytes=100)
    whole = {name: files.read(name) for name in files.list()}
    segments = sorted(name for name in whole if name.endswith(".seg"))
    assert len(segments) > 2
    for name in whole:
        content = {other: text for other, text in whole.items() if other != name}
        if name == segments[-1]:
            known = {n: len(text) for n, text in whole.items()}
            with pytest.raises(CorruptionError, match=re.escape(name)):
                kit.recovered(content, known_durable=known)
        else:
            with pytest.raises(CorruptionError, match=re.escape(name) + ".*gone"):
                kit.recovered(content)


def test_one_fsync_runs_at_a_time_and_covers_what_gathered(kit: Any) -> None:
    files = kit.Files()
    store = Store(files, LogFormat())
    store.recover()
    while not store.booted:
        store.synced(files.complete())
    patches = kit.history(6)
    store.append(patches[0])
    store.flush()
    for patch in patches[1:5]:
        store.append(patch)
        store.flush()
    assert len(files.pending) == 1
    assert store.synced(files.complete()) == 1
    assert len(files.pending) == 1
    assert store.synced(files.complete()) == 5
    assert not files.pending


def test_a_snapshot_makes_older_files_needless(kit: Any) -> None:
    files, _ = written(kit, 70)
    names = files.list()
    assert sum(name.endswith(".snap") for name in names) == 1
    assert not [name for name in names if name.endswith(".tmp")]
    assert min(names).endswith(".seg")
    assert int(min(names)[:10]) > 3


def test_incarnations_rise_and_a_crash_loop_is_folded_together(kit: Any) -> None:
    files, patches = written(kit, 12)
    key = kit.folds(patches)[-1]
    last = 0
    for _ in range(2 * SEGMENTS_MAX):
        store = boot(files)
        assert store.incarnation > last
        last = store.incarnation
        assert store.durable.key() == key
        while files.pending:
            store.synced(files.complete())
        assert len(files.list()) <= SEGMENTS_MAX + 2


def test_what_the_kernel_held_is_synced_before_it_counts(kit: Any) -> None:
    """A killed process leaves bytes that a power cut would still take: boot makes them durable."""
    files = kit.Files()
    store = boot(files)
    store.append(kit.history(1)[0])
    store.flush()
    files.pending.clear()
    again = Store(files, LogFormat())
    durable = again.recover()
    assert durable.entries
    while not again.booted:
        again.synced(files.complete())
    floor = next(iter(files.crashes()))
    assert kit.recovered(floor)[1].key() == durable.key()


def test_another_schema_is_refused(kit: Any) -> None:
    files, _ = written(kit, 3)
    store = Store(files, LogFormat())
    import dissensus.systems.reference.store.log as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SCHEMA", 2)
        with pytest.raises(StoreError, match="schema 1; this code reads schema 2"):
            store.recover()
