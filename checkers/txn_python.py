"""What is wrong with a history of transactions, in pure Python: the native engine's fallback."""

from __future__ import annotations

from dissensus.checkers.transactions import Found
from dissensus.checkers.txn_base import transaction
from dissensus.checkers.txn_lists import Lists
from dissensus.checkers.txn_registers import Registers
from dissensus.harness.checker import Budget
from dissensus.harness.history import History


def analyse(history: History, workload: str, budget: Budget) -> Found:
    """What the history shows. The bounds are numbers of edges and looks, not `budget.seconds`: the
    same history has the same answer everywhere.
    """
    txns = [transaction(history, row, workload) for row in range(len(history))]
    return (Lists if workload == "list-append" else Registers)(txns).found()
