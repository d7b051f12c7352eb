"""Protocol values in words, for golden scripts: messages, entries, patches, replies; and back.

A pair of fields X_index and X_term reads `X=3@1` (index 3, term 1), an entry `1 put x 5` (its term,
then what it does), and a field that is empty or zero stays unsaid, except the verdict of a reply.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from dissensus.systems.reference.core.client_messages import ClientReply, ClientRequest, OpenSession
from dissensus.systems.reference.core.durable import (
    COMMAND,
    KIND_NAMES,
    Append,
    Durable,
    Entry,
    Hard,
    Snapshot,
)
from dissensus.systems.reference.core.effects import Effect, Reply, Send

MS = 1_000_000
CONFIG_SETS = ("voters", "outgoing", "learners", "next_learners", "removed")
"""Sets of a packed configuration, in their order (`raft.config.Config`)."""
VERDICTS = ("ok", "granted")
"""Fields that are said even when they are false."""


def of_message(msg: Any) -> str:
    """A message between nodes: kind, then its fields."""
    return " ".join([type(msg).__name__, *_fields(msg)])


def _fields(msg: Any) -> list[str]:
    names = [field.name for field in dataclasses.fields(msg)]
    said = []
    for name in names:
        value = getattr(msg, name)
        stem, _, last = name.rpartition("_")
        if last == "index" and f"{stem}_term" in names:
            said.append(f"{stem}={value}@{getattr(msg, f'{stem}_term')}")
        elif last == "term" and f"{stem}_index" in names:
            continue
        elif value or name in VERDICTS:
            said.append(f"{name}={_value(msg, value)}")
    return said


def _value(msg: Any, value: Any) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, list):
        return f"[{of_entries(getattr(msg, 'prev_index', 0) + 1, value)}]"
    if isinstance(value, tuple):
        return f"({of_config(value)})"
    return str(value)


def of_entry(entry: Entry) -> str:
    """`1 put x 5`; a session's update carries (session/seq)."""
    if entry.kind == COMMAND:
        what = of_op(entry.op)
    elif entry.op:
        what = f"{KIND_NAMES[entry.kind]} {of_config(entry.op)}"
    else:
        what = KIND_NAMES[entry.kind]
    return f"{entry.term} {what}" + (f" ({entry.session}/{entry.seq})" if entry.session else "")


def of_entries(first: int, entries: Sequence[Entry]) -> str:
    """`3: 1 put x 5; 4: 1 noop`."""
    return "; ".join(f"{first + i}: {of_entry(entry)}" for i, entry in enumerate(entries))


def of_op(op: Sequence[Any]) -> str:
    """`put x 5`."""
    return " ".join(str(word) for word in op)


def of_config(config: Sequence[Sequence[str]]) -> str:
    """The sets of a configuration that have members: `voters=n1,n2,n3 learners=n4`."""
    said = zip(CONFIG_SETS, config, strict=False)
    return " ".join(f"{name}={','.join(members)}" for name, members in said if members)


def of_patch(patch: Any) -> str:
    """What is written to the disk."""
    if isinstance(patch, Hard):
        return f"term {patch.term}, vote {patch.voted_for or '-'}"
    if isinstance(patch, Append):
        return f"log from {patch.first}: [{of_entries(patch.first, patch.entries)}]"
    if isinstance(patch, Snapshot):
        return f"snapshot at {patch.last_index}@{patch.last_term}, {of_config(patch.config)}"
    return repr(patch)


def of_disk(disk: Durable) -> str:
    """What a node finds when it starts."""
    said = []
    if disk.term:
        said.append(f"term {disk.term}, vote {disk.voted_for or '-'}")
    if disk.snapshot is not None:
        said.append(f"snapshot at {disk.snapshot.last_index}@{disk.snapshot.last_term}")
    if disk.entries:
        said.append(f"log {disk.first} to {disk.last_index}")
    return ", ".join(said) or "nothing"


def of_request(op: Any) -> str:
    """What a client asks."""
    if isinstance(op, ClientRequest):
        return of_op(op.op) + (f" ({op.session}/{op.seq})" if op.session else "")
    if isinstance(op, OpenSession):
        return "open a session"
    return repr(op)


def of_result(result: Any) -> str:
    """What a client or an operator is told."""
    if isinstance(result, ClientReply):
        if result.ok:
            return f"ok {result.result}"
        leader = f", leader {result.leader}" if result.leader else ""
        why = f", {result.result}" if result.result is not None else ""
        return f"{result.error}{leader}{why}"
    if isinstance(result, dict):
        return " ".join(f"{name}={value}" for name, value in result.items())
    return repr(result)


def of_effect(effect: Effect) -> str:
    """A Send or a Reply: what can be held back."""
    if isinstance(effect, Send):
        return f"sends {effect.dst} {of_message(effect.msg)}"
    assert isinstance(effect, Reply)
    return f"answers {effect.client}: {of_result(effect.result)}"


def of_span(lo_ns: int, hi_ns: int) -> str:
    """`300 to 600 ms`."""
    lo, hi = f"{lo_ns / MS:g}", f"{hi_ns / MS:g}"
    return f"{lo} ms" if lo == hi else f"{lo} to {hi} ms"


# -- back ------------------------------------------------------------------------------------------


def entry_at(index: int, term: int) -> Entry:
    """An entry for hand-made logs: what it does tells its index and term."""
    return Entry(term, COMMAND, 0, 0, 0, ("put", f"k{index}", f"v{term}"))


def log_of_terms(first: int, terms: str) -> list[Entry]:
    """ "1,1,2" -> entries of these terms from index `first` on."""
    return [entry_at(first + i, int(term)) for i, term in enumerate(filter(None, terms.split(",")))]


def message(kind: type, words: dict[str, str]) -> Any:
    """A message of this kind from `name=value` words; what is not said is empty or zero.

    Entries are given by their terms. Raises ValueError for a field that the kind has not.
    """
    said = dict(words)
    for name in list(said):
        index, at, term = said[name].partition("@")
        if at:
            del said[name]
            said[f"{name}_index"], said[f"{name}_term"] = index, term
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        text = said.pop(field.name, "")
        typ = str(field.type)
        if typ == "bool":
            values[field.name] = text == "yes"
        elif typ == "int":
            values[field.name] = int(text or 0)
        elif typ.startswith("List"):
            values[field.name] = log_of_terms(values["prev_index"] + 1, text)
        elif typ == "bytes":
            values[field.name] = text.encode()
        else:
            values[field.name] = ()  # configurations are not made by hand
    if said:
        raise ValueError(f"{kind.__name__} has no field {', '.join(said)}")
    return kind(**values)


def value(word: str) -> Any:
    """yes and no, integers, lists with commas (`-` is an empty one); else the word itself."""
    if word in ("yes", "no"):
        return word == "yes"
    if word.lstrip("-").isdigit():
        return int(word)
    if word == "-":
        return []
    return word.split(",") if "," in word else word
