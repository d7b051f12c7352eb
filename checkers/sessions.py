"""Session guarantees of registers: which of read-your-writes, monotonic reads, monotonic writes,
writes-follow-reads, PRAM, causal and sequential consistency a history keeps, and how they stand
beside linearizability.

A session is what one process does up to an operation of unknown outcome. Each guarantee says which
writes a read must have seen (`RULES`). The history keeps it if there is one order of all operations
that has each session in its order (po) and each read after the write that it read (wr), such that
every read returns the last, in that order, of all writes of its key that it must have seen or did
read. So a write that had to be seen comes before the one that was read (ww); such an order exists
exactly where po, wr and ww have no cycle (Biswas and Enea, OOPSLA 2019, for one operation a
transaction). "causal" is causal convergence. Sequential consistency wants the order to be one in
which every read returns the last write of its key; it is searched for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dissensus.checkers.levels import level_of
from dissensus.checkers.models.base import parse, plain, text_of
from dissensus.harness.verdict import Certificate, OverBudget, Validity

if TYPE_CHECKING:
    from dissensus.harness.checker import Budget
    from dissensus.harness.history import History
    from dissensus.harness.verdict import Verdict

RULES = {
    "read-your-writes": "what its own session wrote before",
    "monotonic-reads": "what its session read before",
    "monotonic-writes": "what a session wrote before a write that the reader's session has read",
    "writes-follow-reads": "what a session read before a write that the reader's session has read",
    "PRAM": "all that read-your-writes, monotonic reads and monotonic writes demand together",
    "causal": "all that happened before it",
}
"""Guarantee -> the writes that a read must have seen."""
GUARANTEES = tuple(RULES)
BELOW: dict[str, tuple[str, ...]] = {
    "linearizable": ("sequential",),
    "sequential": ("causal",),
    "causal": ("PRAM", "writes-follow-reads"),
    "PRAM": ("read-your-writes", "monotonic-reads", "monotonic-writes"),
    "writes-follow-reads": (),
    "monotonic-writes": (),
    "monotonic-reads": (),
    "read-your-writes": (),
}
"""Level -> the strongest that are weaker, the strongest level first."""
READS = frozenset({"read", "get"})
WRITES = frozenset({"write", "put"})
PAIRS = frozenset({"cas", "rmw", "readmodifywrite"})
NAMES = READS | WRITES | PAIRS
MODELS = ("register", "cas-register", "rmw-register", "kv")
STATES_MAX = 100_000
"""Prefixes of sequential orders that are tried."""


class Step(msgspec.Struct, kw_only=True, frozen=True):
    """Row `from_` comes before row `to`."""

    from_: int = msgspec.field(name="from")
    to: int
    edge: str
    """ "po", "wr", "ww"; "rw" is that `from_` read the initial value, which `to` replaced."""
    by: int | None = None
    """ww: the read that returned what `to` wrote."""
    path: list[Step] = []
    """ww: why that read must have seen `from_`."""


class Found(msgspec.Struct, kw_only=True):
    """What an engine finds in a history."""

    sessions: int
    operations: int
    """Those that count."""
    garbage: int | None = None
    """A row that read what nobody wrote."""
    repeated: int | None = None
    """A row that read what several wrote: what it says was not used."""
    broken: dict[str, list[Step]] = {}
    """Guarantee -> a shortest cycle."""
    sequential: str = "unknown"
    """ "holds", "broken" or "unknown"."""
    order: list[int] = []
    """Rows, where it holds."""
    states: int = 0


class Question(NamedTuple):
    """What a model's name says of the registers."""

    initial: str
    nil_unknown: bool


class Standing(msgspec.Struct, kw_only=True):
    """Where one level stands."""

    level: str
    state: str
    """ "holds", "broken" or "unknown"."""
    why: str = ""
    certificate: Certificate | None = None


class Lattice(msgspec.Struct, kw_only=True):
    """Where all levels stand."""

    strongest_holding: list[str]
    weakest_broken: list[str]
    unknown: list[str]
    levels: list[Standing]
    """The strongest first."""


def question_of(model: str) -> Question | None:
    """What is asked of a model's history; None where it is none of registers."""
    spec = parse(model)
    if spec.name not in MODELS or spec.options.get("init") == "empty":
        return None
    usual = 0 if spec.name == "rmw-register" else None
    initial = text_of(spec.value("init", usual))
    return Question(initial, spec.options.get("nil") == "unknown")


def strongest(history: History, verdict: Verdict, model: str, budget: Budget) -> Lattice:
    """Where all levels stand, given the model's own verdict (linearizable, or a level of
    transactions).
    """
    if "strongest_holding" in verdict.facts:
        return of_transactions(verdict)
    try:
        standings = sessions(history, model, budget)
    except OverBudget as error:
        standings = {x: Standing(level=x, state="unknown", why=str(error)) for x in BELOW}
    standings["linearizable"] = linearizable(verdict)
    return lattice(spread(standings, verdict))


def sessions(history: History, model: str, budget: Budget) -> dict[str, Standing]:
    """All levels but the strongest. Raises OverBudget where nothing can be said."""
    from dissensus.checkers.sessions_python import analyse

    if getattr(history, "holes", []):
        raise OverBudget("records could not be read, and what stood in them decides")
    question = question_of(model)
    if question is None or not {plain(str(f)) for f in history.fs.values} <= NAMES:
        raise OverBudget("it is judged for reads, writes and cas of registers only")
    return standings_of(history, model, analyse(history, question, budget))


def linearizable(verdict: Verdict) -> Standing:
    """What the model's verdict says."""
    state = {Validity.VALID: "holds", Validity.INVALID: "broken"}.get(verdict.validity, "unknown")
    certificate = next(iter(verdict.certificates), None)
    shown = certificate if state == "broken" else None
    return Standing(level="linearizable", state=state, why=verdict.reason, certificate=shown)


def standings_of(history: History, model: str, found: Found) -> dict[str, Standing]:
    """The guarantees and sequential consistency, each for itself."""
    from dissensus.checkers.sessions_story import certificate_of, garbage_of

    standings: dict[str, Standing] = {}
    for name in (*GUARANTEES, "sequential"):
        state, why, certificate = "holds", "", None
        if found.garbage is not None:
            state, certificate = "broken", garbage_of(history, model, name, found.garbage)
        elif name in found.broken:
            state, certificate = "broken", certificate_of(history, model, name, found.broken[name])
        elif found.repeated is not None:
            state, why = "unknown", f"values repeat: row {found.repeated} read what several wrote"
        elif name == "sequential":
            state = found.sequential
            why = {
                "holds": "an order was found",
                "broken": f"no order explains the reads: all were tried ({found.states} prefixes)",
            }.get(state, f"no order was found among {found.states} prefixes")
        why = certificate.summary if certificate else why
        standings[name] = Standing(level=name, state=state, why=why, certificate=certificate)
    return standings


def spread(standings: dict[str, Standing], verdict: Verdict) -> list[Standing]:
    """All levels, the strongest first: what holds makes the weaker ones hold, what is broken breaks
    the stronger ones. Engines that contradict each other accuse nobody: that is noted in the
    verdict.
    """
    for name, below in BELOW.items():
        for lower in below:
            if standings[name].state == "holds" and standings[lower].state != "holds":
                if standings[lower].state == "broken":
                    verdict.disagreement = True
                    verdict.validity = Validity.UNKNOWN
                    verdict.reason = f"{name} holds and {lower} is broken: please report this"
                    why = verdict.reason
                    return [Standing(level=x, state="unknown", why=why) for x in BELOW]
                standings[lower] = Standing(level=lower, state="holds", why=f"{name} holds")
    for name in reversed(BELOW):
        for lower in BELOW[name]:
            if standings[lower].state == "broken" and standings[name].state == "unknown":
                shown = standings[lower].certificate
                why = f"{lower} is broken"
                standings[name] = Standing(level=name, state="broken", why=why, certificate=shown)
    return [standings[name] for name in BELOW]


def weaker(name: str) -> set[str]:
    """All levels below one."""
    return {x for lower in BELOW[name] for x in (lower, *weaker(lower))}


def lattice(standings: list[Standing]) -> Lattice:
    """The ends of what holds and of what is broken."""
    state = {s.level: s.state for s in standings}
    holding = [name for name, is_ in state.items() if is_ == "holds"]
    broken = [name for name, is_ in state.items() if is_ == "broken"]
    return Lattice(
        strongest_holding=[x for x in holding if not any(x in weaker(y) for y in holding)],
        weakest_broken=[x for x in broken if not any(y in weaker(x) for y in broken)],
        unknown=[name for name, is_ in state.items() if is_ == "unknown"],
        levels=standings,
    )


def of_transactions(verdict: Verdict) -> Lattice:
    """The levels of transactions, as their verdict has placed them: only the ends are listed."""
    facts: dict[str, Any] = verdict.facts
    levels = [Standing(level=name, state="holds") for name in facts["strongest_holding"]]
    levels += [Standing(level=name, state="unknown") for name in facts["undecided"]]
    for name in facts["weakest_broken"]:
        forbids = level_of(name).forbids
        breaking = [c for c in verdict.certificates if anomaly_of(c) in forbids]
        shown = next(iter(breaking), None)
        why = "shown by " + ", ".join(x for x in facts["anomalies"] if x in forbids)
        levels.append(Standing(level=name, state="broken", why=why, certificate=shown))
    return Lattice(
        strongest_holding=facts["strongest_holding"],
        weakest_broken=facts["weakest_broken"],
        unknown=facts["undecided"],
        levels=levels,
    )


def anomaly_of(certificate: Certificate) -> str:
    """The name of the anomaly that a certificate of transactions shows."""
    return str(certificate.data.get("anomaly") or certificate.data.get("rule"))
