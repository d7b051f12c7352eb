"""Which nodes a fault hits: one, a minority, the leader, a majority or all; nodes by name in faults
that are written by hand.

"one", "minority" and "leader" leave a majority running, counting what is down already; "majority"
and "all" take what is asked. A nemesis that mixes selectors takes the last two only while nothing
is down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dissensus.harness.cluster import majority
from dissensus.harness.errors import UserError, unknown_name
from dissensus.harness.fault import Fault, FaultContext
from dissensus.harness.randomness import Rng

SELECTORS = ("one", "minority", "leader", "majority", "all")
BEYOND = frozenset({"majority", "all"})
"""Selectors that leave no majority running."""


def running(context: FaultContext) -> list[str]:
    """Nodes that no fault holds, in order."""
    return [node for node in context.nodes if node not in context.down]


def spare(context: FaultContext) -> int:
    """How many more nodes may stop while a majority goes on. Of one or two nodes, one may."""
    size = len(context.nodes)
    return max(1, size - majority(size)) - len(context.down)


def select(selector: str, rng: Rng, context: FaultContext) -> list[str]:
    """Nodes that run, chosen as the selector says, in the cluster's order; empty when none is fair
    now.
    """
    up = running(context)
    if selector == "all":
        chosen = up
    elif selector == "majority":
        chosen = rng.sample(up, max(0, majority(len(context.nodes)) - len(context.down)))
    elif not up or spare(context) < 1:
        chosen = []
    elif selector == "one":
        chosen = [rng.choice(up)]
    elif selector == "minority":
        chosen = rng.sample(up, rng.between(1, min(spare(context), len(up))))
    elif selector == "leader":
        chosen = [node for node in up if node == context.leader]
    else:
        raise unknown_name("selector", selector, SELECTORS)
    return [node for node in context.nodes if node in chosen]


def draw_nodes(
    rng: Rng, context: FaultContext, mix: Mapping[str, int]
) -> tuple[str, list[str]] | None:
    """(selector, nodes) by the weights of `mix`, among the selectors that are fair now; None when
    none is. A mix of one selector is what somebody asked for, and is not held back.
    """
    weights = dict(mix)
    if len(mix) > 1 and context.down:
        weights = {name: weight for name, weight in mix.items() if name not in BEYOND}
    while weights:
        pick = rng.below(sum(weights.values()))
        for selector in list(weights):
            pick -= weights[selector]
            if pick < 0:
                break
        nodes = select(selector, rng, context)
        if nodes:
            return selector, nodes
        del weights[selector]
    return None


def check_hosts(fault: Fault, names: Iterable[str], known: Iterable[str]) -> None:
    """A UserError for a fault without targets, with one that is named twice or does not exist."""
    names, known = list(names), list(known)
    if not names:
        raise UserError(f"fault {fault.kind!r} has no target: {fault.targets!r}")
    for name in names:
        if name not in known:
            raise unknown_name(f"target of {fault.kind!r}", name, known)
        if names.count(name) > 1:
            raise UserError(f"fault {fault.kind!r} names {name!r} twice: {fault.targets!r}")


def check_nodes(fault: Fault, context: FaultContext) -> None:
    """`targets` must be {"nodes": [...]}. Raises UserError."""
    if set(fault.targets) != {"nodes"}:
        raise UserError(
            f"fault {fault.kind!r} has targets {fault.targets!r}: "
            "they are written {'nodes': ['n1', ...]}"
        )
    check_hosts(fault, fault.targets["nodes"], context.nodes)
