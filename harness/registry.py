"""Finds systems and clusters by name: systems by entry point (`dissensus.systems`) or by path,
clusters by the table here.

Nothing is imported before it is asked for; a plug-in that does not load is listed with its reason
instead of breaking the list.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec

from dissensus.harness.cluster import Cluster, ClusterSpec
from dissensus.harness.errors import SystemFault, UserError, unknown_name
from dissensus.harness.system import System

GROUP = "dissensus.systems"

CLUSTERS = {
    "local": "dissensus.harness.clusters.local:LocalCluster",
    "sim": "dissensus.harness.clusters.sim:SimCluster",
}
"""Kind of cluster -> where its class lies. A new kind is one file and one line."""


class Listed(msgspec.Struct, kw_only=True):
    """One line of `dissensus systems`."""

    name: str
    source: str
    """Distribution that brings it, or the path."""
    summary: str
    """First sentence of the class, or why it does not load."""
    loads: bool


def system_names() -> list[str]:
    """Names that `load_system` knows, sorted."""
    return sorted(point.name for point in entry_points(group=GROUP))


def list_systems() -> list[Listed]:
    """All registered systems, those that do not load included."""
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        source = point.dist.name if point.dist else "?"
        try:
            summary, loads = first_sentence(point.load()), True
        except Exception as error:  # a plug-in may fail in any way; the list says how
            summary, loads = f"does not load: {error!r}", False
        found.append(Listed(name=point.name, source=source, summary=summary, loads=loads))
    return found


def first_sentence(thing: object) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n", 1)[0].split())
    return text.split(". ", 1)[0].rstrip(".")


def load_system(name: str, options: Mapping[str, Any]) -> System:
    """The system `name` ("raft", "./mine.py:Mine") with its options. Raises UserError."""
    made = system_class(name)
    check_options(made, name, options)
    try:
        system = made(**options)
    except UserError:
        raise
    except Exception as error:
        raise SystemFault(f"system {name!r} cannot be made: {error!r}") from error
    for needed in ("name", "capabilities", "ports", "argv", "ready", "client"):
        if not hasattr(system, needed):
            raise SystemFault(
                f"system {name!r} has no {needed!r}: see dissensus.harness.system.System"
            )
    return system  # type: ignore[no-any-return]


def system_class(name: str) -> Any:
    """The class behind a name or a path."""
    if is_place(name):
        return class_at(name)
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                return point.load()
            except Exception as error:
                raise SystemFault(f"system {name!r} does not load: {error!r}") from error
    raise unknown_name("system", name, system_names())


def is_place(name: str) -> bool:
    """The name is a path to a file, not one of a table."""
    return ".py:" in name or "/" in name or name.endswith(".py")


def class_at(place: str, what: str = "system") -> Any:
    """The class, or function, of `path.py:NAME`, which is a `what`. Its folder is importable while
    the file loads.
    """
    path_text, _, attribute = place.rpartition(":")
    path = Path(path_text)
    if not path_text or not attribute:
        raise UserError(f"{what} {place!r} names no class: write PATH.py:CLASS")
    if not path.is_file():
        raise UserError(f"{what} {place!r}: there is no file {path_text}")
    spec = importlib.util.spec_from_file_location(f"dissensus_{what}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{what} {place!r}: {path_text} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SystemFault(f"{what} {place!r} does not load: {error!r}") from error
    finally:
        sys.path.pop(0)
    found = getattr(module, attribute, None)
    if found is None:
        classes = [
            k for k, v in vars(module).items() if isinstance(v, type) and v.__module__ == spec.name
        ]
        raise unknown_name(f"class in {path_text}", attribute, classes)
    return found


def check_options(made: Any, name: str, options: Mapping[str, Any]) -> None:
    """A UserError for an option that the system does not take."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):  # no signature: the call itself will tell
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)


def cluster_class(kind: str) -> Any:
    """The class of a kind of cluster. Raises UserError for an unknown kind."""
    if kind not in CLUSTERS:
        raise unknown_name("kind of cluster", kind, CLUSTERS)
    module, _, attribute = CLUSTERS[kind].partition(":")
    return getattr(import_module(module), attribute)


def make_cluster(kind: str, spec: ClusterSpec, system: System) -> Cluster:
    """A cluster of the kind, not set up yet."""
    made: Cluster = cluster_class(kind)(spec, system)
    return made
