"""The page: complete, without a request, and nothing that the system wrote becomes markup."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from dissensus.harness.checker import RunView
from dissensus.harness.errors import InternalError
from dissensus.harness.history import History
from dissensus.harness.store import VerdictFile
from dissensus.harness.verdict import Certificate, Validity, Verdict
from dissensus.reports import block
from dissensus.reports import page as words_of_page
from dissensus.reports.columns import decode
from dissensus.reports.html import render, write_report
from dissensus.reports.words import count_text

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Elements(HTMLParser):
    """Tags with their attributes, texts of scripts and styles, and the page's text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        last = self.open[-1] if self.open else ""
        self.inside.get(last, self.words).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(run: tuple[RunView, VerdictFile]) -> Elements:
    page = Elements(render(*run))
    assert not page.open
    return page


def test_hostile_texts_stay_text(hostile: tuple[RunView, VerdictFile]) -> None:
    page = page_of(hostile)
    assert not page.all("img")
    assert len(page.all("script")) == 2
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
    said = "".join(page.words)
    assert said.count("<img src=x onerror=alert(1)>") > 10
    assert "{{ 7*7 }}" in said
    assert "panic: </script>" in said
    assert "49" not in re.sub(r"[\d.]+ m?s", "", said)
    # A file's name is a path below the run, never a scheme.
    (link,) = [a["href"] for a in page.all("a") if "alert" in (a.get("href") or "")]
    assert link == "nodes/n1/javascript%3Aalert%281%29"


@pytest.mark.parametrize("which", ["hostile", "specimen"])
def test_the_page_asks_for_nothing(which: str, request: pytest.FixtureRequest) -> None:
    run: tuple[RunView, VerdictFile] = request.getfixturevalue(which)
    page = page_of(run)
    assert "://" not in "".join(page.inside["style"])
    assert "url(" not in "".join(page.inside["style"]).replace("url(#slants)", "")
    assert not page.all("link")
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "srcset"):
            assert ":" not in (attributes.get(name) or ""), attributes
        assert "style" not in attributes, "the policy forbids it"


def test_the_policy_allows_the_pages_own_script_and_style_only(
    specimen: tuple[RunView, VerdictFile],
) -> None:
    page = page_of(specimen)
    (policy,) = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))
    assert rules["default-src"] == "'none'"
    (code,) = [text for text in page.inside["script"] if not text.startswith("{")]
    for rule, text in (("script-src", code), ("style-src", page.inside["style"][0])):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["trusted-types"] == "'none'"
    assert not re.search(r"innerHTML|outerHTML|document\.write|eval\(|fetch\(|XMLHttp", code)


def test_verdict_then_why_then_again_then_the_rest(
    specimen: tuple[RunView, VerdictFile],
) -> None:
    said = " ".join("".join(page_of(specimen).words).split())
    order = [
        "INVALID", "Why", "No operation that could set key", "Run it again",
        "dissensus run raft --nodes 5 --time 30s", "What happened", "Checks",
        "Faults: asked, measured, undone", "no effect", "Provenance", "events.jsonl",
    ]  # fmt: skip
    places = [said.index(words) for words in order]
    assert places == sorted(places)


def test_chips_lead_to_the_operations_of_the_certificate(
    specimen: tuple[RunView, VerdictFile],
) -> None:
    _, verdicts = specimen
    rows = verdicts.verdicts[0].certificates[0].ops
    page = page_of(specimen)
    chips = [a["href"] for a in page.all("a") if a.get("class") == "chip"]
    assert {f"#op-{row}" for row in rows} == set(chips)
    bars = [a["href"] for a in page.all("a") if (a.get("class") or "").startswith("bar")]
    assert bars == [f"#op-{row}" for row in rows]


def test_a_number_without_an_operation_is_no_chip(specimen: tuple[RunView, VerdictFile]) -> None:
    run, _ = specimen
    certificate = Certificate(kind="panic", summary="(1) and (99)", ops=[3])
    verdict = Verdict(checker="x", validity=Validity.INVALID, certificates=[certificate])
    page = page_of((run, VerdictFile(validity="INVALID", exit_code=1, verdicts=[verdict])))
    chips = [a["href"] for a in page.all("a") if a.get("class") == "chip"]
    assert chips == ["#op-3"]
    assert "and (99)" in "".join(page.words)


@pytest.mark.parametrize("word", ["VALID", "UNKNOWN"])
def test_an_empty_run_has_a_report(tmp_path: Path, word: str) -> None:
    run = RunView(
        header={}, history=History(), faults=[], nodes=[], phases=[], marks=[], complete=False,
        directory=tmp_path,
    )  # fmt: skip
    verdict = Verdict(checker="stats", validity=Validity(word), reason="none", vacuous=["nothing"])
    path = write_report(run, VerdictFile(validity=word, exit_code=2, verdicts=[verdict]))
    said = path.read_text(encoding="utf-8")
    assert "The run is incomplete" in said
    assert '<span class="short">incomplete</span>' in said
    assert word in said
    assert [path] == list(tmp_path.iterdir())


def test_a_valid_run_says_what_was_tried_and_what_not(
    specimen: tuple[RunView, VerdictFile],
) -> None:
    run, verdicts = specimen
    good = [v for v in verdicts.verdicts if v.validity is Validity.VALID]
    said = "".join(page_of((run, VerdictFile(validity="VALID", exit_code=0, verdicts=good))).words)
    assert "partition: 2 of 2 in effect" in said
    assert "Not tried in this run: lose-unsynced." in said


def test_a_run_without_a_folder_is_a_bug_of_ours(specimen: tuple[RunView, VerdictFile]) -> None:
    run, verdicts = specimen
    homeless = msgspec.structs.replace(run, directory=None)
    with pytest.raises(InternalError):
        write_report(homeless, verdicts)


def test_a_long_history_is_cut_around_the_anomaly(
    specimen: tuple[RunView, VerdictFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block, "ROWS_MAX", 500)
    run, verdicts = specimen
    page = render(run, verdicts)
    data = re.search(r'id="data">(.*?)</script>', page)
    assert data is not None
    columns, _, rest = decode(data[1])
    assert len(columns["t"]) == 500
    first = verdicts.verdicts[0].certificates[0].ops[0]
    assert rest["first"] <= first < rest["first"] + 500
    assert f"The timeline holds 500 of {count_text(len(run.history))} operations" in page


def test_of_many_faults_the_first_have_a_row(
    specimen: tuple[RunView, VerdictFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words_of_page, "FAULTS_MAX", 4)
    said = " ".join("".join(page_of(specimen).words).split())
    assert "2 more are in events.jsonl" in said


def test_files_of_the_run_are_linked(specimen: tuple[RunView, VerdictFile]) -> None:
    run, _ = specimen
    assert run.directory is not None
    links = [unquote(a["href"] or "") for a in page_of(specimen).all("a")]
    files = [link for link in links if not link.startswith("#")]
    assert "nodes/n1/node.log" in files
    for path in files:
        assert (run.directory / path).is_file()
