"""A user's own model: right by both engines, asked once for each pair, told what it did wrong."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dissensus.checkers import native
from dissensus.checkers.linearizability import PythonEngine
from dissensus.checkers.models import make_model
from dissensus.checkers.models.user import UserModel
from dissensus.checkers.native import NativeEngine
from dissensus.harness.checker import Budget, Engine
from dissensus.harness.cli import call as run_cli
from dissensus.harness.errors import UserError
from dissensus.harness.history import History
from dissensus.harness.ops import Op
from dissensus.harness.verdict import Validity

Hand = Callable[[str], History]
MakeOps = Callable[..., list[Op]]

ENGINES = [
    "python",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(
            native.available() is not None, reason=f"no native engine: {native.available()}"
        ),
    ),
]
pytestmark = pytest.mark.parametrize("engine", ENGINES)


def engine_of(name: str) -> Engine:
    return NativeEngine() if name == "native" else PythonEngine()


def judged(engine: str, history: History, made: Any) -> Validity:
    model = UserModel("mine.py:Mine", made)
    return engine_of(engine).check(history, model, Budget()).validity


class Cas:
    """A cas-register with nil for nothing."""

    initial = "nothing"

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def step(self, state: Any, op: Any) -> Any:
        self.asked[f"{state!r} {op!r}"] += 1
        now = None if state == "nothing" else state
        if op.f == "read":
            return state if not op.known or op.result == now else None
        if op.f == "write":
            return op.value
        old, new = op.value
        return new if old == now else None

    def is_read(self, op: Any) -> bool:
        return bool(op.f == "read")


class Lossy:
    """A register whose writes may get lost: two states after each."""

    initial = -1

    def step(self, state: Any, op: Any) -> Any:
        if op.f == "write":
            return {state, op.value}
        return state if not op.known or op.result == state else None


def test_it_judges_as_ours_does_and_is_asked_once(engine: str, make_ops: MakeOps) -> None:
    seen: Counter[Validity] = Counter()
    ours = make_model("cas-register")
    for seed in range(300):
        ops = make_ops(seed, ("read", "write", "cas"), operations=7, lies=0.35)
        # A cas that failed says nothing to the user's model, nor to ours.
        history = History.from_ops(ops)
        mine = Cas()
        found = judged(engine, history, mine)
        assert found is PythonEngine().check(history, ours, Budget()).validity, seed
        seen[found] += 1
        if found is Validity.VALID:
            assert set(mine.asked.values()) <= {1}, mine.asked.most_common(2)
    assert min(seen[Validity.VALID], seen[Validity.INVALID]) >= 90, seen


def test_many_operations_of_few_kinds_cost_few_calls(engine: str, hand: Hand) -> None:
    steps = [
        f"{i % 3} i {'wr'[i % 2]} {i // 2 % 5} \n {i % 3} o {'wr'[i % 2]} {i // 2 % 5}"
        for i in range(4000)
    ]
    history = hand("\n".join(steps))
    mine = Cas()
    assert judged(engine, history, mine) is Validity.VALID
    # 5 writes and 5 reads in at most 6 states.
    assert sum(mine.asked.values()) <= 60
    assert set(mine.asked.values()) == {1}


@pytest.mark.parametrize(
    ("read", "validity"),
    [("1", Validity.VALID), ("2", Validity.VALID), ("3", Validity.INVALID)],
)
def test_a_step_may_lead_to_several_states(
    engine: str, hand: Hand, read: str, validity: Validity
) -> None:
    text = f"0 i w 1 \n 0 o w \n 0 i w 2 \n 0 o w \n 1 i r \n 1 o r {read}"
    assert judged(engine, hand(text), Lossy()) is validity
    twice = f"{text} \n 1 i r \n 1 o r 1"
    both = validity if read == "1" else Validity.INVALID
    assert judged(engine, hand(twice), Lossy()) is both


def test_random_histories_of_a_model_of_several_states(engine: str, hand: Hand) -> None:
    seen: Counter[Validity] = Counter()
    for seed in range(200):
        rng = random.Random(seed)
        possible, text, legal = {-1}, "", True
        for _ in range(6):
            value = rng.choice([*sorted(possible), 0]) if rng.random() < 0.9 else rng.randrange(3)
            if value < 0 or rng.random() < 0.4:
                value = rng.randrange(3)
                possible |= {value}
                text += f"0 i w {value} \n 0 o w \n"
            else:
                legal = legal and value in possible
                possible = {value} & possible
                text += f"1 i r \n 1 o r {value} \n"
        found = judged(engine, hand(text), Lossy())
        assert (found is Validity.VALID) == legal, text
        seen[found] += 1
    assert min(seen.values()) >= 60, seen


def test_keys_apart_or_together_and_who_it_was(engine: str, hand: Hand) -> None:
    text = "0 i w 1 key=a \n 0 o w \n 1 i r key=b \n 1 o r nil"

    class Whole(Cas):
        key = False
        keys: ClassVar[set[Any]] = set()

        def step(self, state: Any, op: Any) -> Any:
            self.keys.add(op.key)
            return super().step(state, op)

    assert judged(engine, hand(text), Cas()) is Validity.VALID
    assert judged(engine, hand(text), Whole()) is Validity.INVALID
    assert Whole.keys == {"a", "b"}

    class Own:
        """The lock of one process."""

        process = True
        initial = -1

        def step(self, state: Any, op: Any) -> Any:
            if op.f == "write":
                return op.process if state == -1 else None
            return -1 if state == op.process else None

    assert judged(engine, hand("5 i w 1 \n 5 o w \n 5 i r \n 5 o r"), Own()) is Validity.VALID
    assert judged(engine, hand("5 i w 1 \n 5 o w \n 6 i r \n 6 o r"), Own()) is Validity.INVALID


class Wrong(Cas):
    """Each kind of mistake."""

    def __init__(self, how: Any) -> None:
        super().__init__()
        self.how = how

    def step(self, state: Any, op: Any) -> Any:
        return self.how(state) if op.f == "write" else state


def _breaks(state: Any) -> Any:
    raise RuntimeError(f"no {state}")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (_breaks, r"step\('nothing', write 1 -> 1\) raises RuntimeError\('no nothing'\)"),
        (lambda _: [1], "gives a list, and a state must be hashable"),
        (lambda _: {1: 2}, "gives a dict, and a state must be hashable"),
    ],
)
def test_what_a_model_does_wrong_is_told(engine: str, hand: Hand, how: Any, said: str) -> None:
    with pytest.raises(UserError, match="model 'mine.py:Mine'.*" + said):
        judged(engine, hand("0 i w 1 \n 0 o w 1 \n 1 i r \n 1 o r 1"), Wrong(how))


class NoStep:
    """No model."""


class NoState(Cas):
    """No state."""

    initial = None


class NoFlag(Cas):
    """No truth value."""

    key = "whole"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (NoStep, "has no method step"),
        (NoState, "initial is None"),
        (NoFlag, "key is True or False, not 'whole'"),
    ],
)
def test_what_is_no_model_is_refused(engine: str, made: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        UserModel("mine.py:Mine", made())
    with pytest.raises(UserError, match="there is no file"):
        make_model(f"{engine}-nowhere.py:Mine")


def test_the_page_does_what_it_says(
    engine: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    page = (root / "docs" / "how-to" / "write-a-model.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", page, re.S):
        name = re.match(r"# (\w+\.py)\n", code)
        assert name
        Path(name[1]).write_text(code, encoding="utf-8")
    exec(compile(Path("record.py").read_text(), "record.py", "exec"), {})
    model = ["--model", "toggle.py:Toggle", "--engine", engine]
    assert run_cli(["check", "legal.jsonl", *model]) == 0
    assert "are linearizable as toggle.py:Toggle" in capsys.readouterr().out
    assert run_cli(["check", "illegal.jsonl", *model]) == 1
    assert "(not re-verified: the model is the user's" in capsys.readouterr().out
    Path("toggle.py").write_text("class Toggle:\n    def step(self, state, op):\n        1 / 0\n")
    assert run_cli(["check", "legal.jsonl", *model]) == 4
    assert "toggle.py:Toggle': step((), flip -> True) raises" in capsys.readouterr().err
