"""The report in a real browser: it draws, follows keys, clicks and links, and asks for nothing.

Marked `browser`: plain pytest leaves these out, `.ci/parts/60-browser` installs Chromium and runs
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dissensus.harness.checker import RunView
from dissensus.harness.history import History
from dissensus.harness.store import VerdictFile
from dissensus.reports.browser import Browser, browser, find_browser
from dissensus.reports.figures import figures_of
from dissensus.reports.html import write_report
from dissensus.reports.picture import SIGNATURE, make_picture
from dissensus.reports.specimen import write_specimen

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium: apt-get install chromium"),
]

Run = tuple[RunView, VerdictFile]
COLOURS_LEAST = 8
"""A panel that was drawn has more colours than its ground."""
SOLID_LEAST = 1000
"""Pixels in the full colour of `ok`, where some dozen operations are in sight."""


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    with browser() as found:
        found.size(1440, 900)
        yield found


@pytest.fixture(autouse=True)
def _quiet(page: Browser) -> Iterator[None]:
    """Every test ends without an error on the console and without a request but for the file."""
    page.errors.clear()
    page.requests.clear()
    page.theme("light")
    yield
    assert not page.errors
    assert all(address.startswith(("file:///", "about:")) for address in page.requests)
    assert len({address for address in page.requests if address != "about:blank"}) <= 1


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunView, VerdictFile]:
    run, verdicts = write_specimen(tmp_path_factory.mktemp("run"))
    return write_report(run, verdicts), run, verdicts


def status(page: Browser) -> dict[str, Any]:
    """What the page says it drew."""
    found: dict[str, Any] = page.evaluate("({...document.getElementById('status').dataset})")
    return found


def assert_counts(page: Browser, run: RunView) -> None:
    """The page counted in its data what Python counted in the history."""
    figures = figures_of(run)
    found = status(page)
    assert "failed" not in found
    counts = [int(found[name]) for name in ("rows", "ok", "info", "fail")]
    assert counts == [len(run.history), figures.ok, figures.info, figures.fail]


def colours_of(page: Browser) -> dict[str, int]:
    """Panel -> how many colours its canvas has."""
    found: dict[str, int] = page.evaluate("""
        Object.fromEntries([...document.querySelectorAll("canvas")].map((canvas) => {
          const { data } = canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.getAttribute("aria-label"), new Set(new Uint32Array(data.buffer)).size];
        }))
    """)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_panels_are_drawn(
    page: Browser, report: tuple[Path, RunView, VerdictFile], theme: str
) -> None:
    path, run, _ = report
    page.theme(theme)
    page.open(path)
    assert_counts(page, run)
    page.key("0")
    page.wait("document.getElementById('window').textContent.startsWith('0')")
    for panel, colours in colours_of(page).items():
        assert colours >= COLOURS_LEAST, panel
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 19, 24)"}[theme]


def test_the_anomaly_is_in_sight_at_first(
    page: Browser, report: tuple[Path, RunView, VerdictFile]
) -> None:
    path, run, verdicts = report
    page.open(path)
    rows = verdicts.verdicts[0].certificates[0].ops
    story = page.evaluate("document.getElementById('story').innerText")
    assert "No operation that could set key 27" in story
    begin, end = page.evaluate(
        "document.getElementById('window').textContent.match(/[\\d.]+/g).slice(0, 2).map(Number)"
    )
    for row in rows:
        assert begin < run.history.t_inv[row] / 1e9 < end


def test_without_an_anomaly_no_operation_steps_back(page: Browser, tmp_path: Path) -> None:
    run, verdicts = write_specimen(tmp_path)
    good = [v for v in verdicts.verdicts if not v.certificates]
    page.open(write_report(run, VerdictFile(validity="VALID", exit_code=0, verdicts=good)))
    page.evaluate("location.hash = 't=26.4,26.8'")
    page.wait("document.getElementById('window').textContent.startsWith('26.4')")
    solid = page.evaluate("""(() => {
        const canvas = document.querySelector(".panel-clients canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let found = 0;
        for (let i = 0; i < data.length; i += 4) {
          found += data[i] === 0x0b && data[i + 1] === 0x6e && data[i + 2] === 0x99;
        }
        return found;
    })()""")
    assert solid > SOLID_LEAST


def test_a_link_leads_to_an_operation(
    page: Browser, report: tuple[Path, RunView, VerdictFile]
) -> None:
    path, run, _ = report
    page.open(path, "#op-1234")
    told = page.evaluate("document.getElementById('operation').innerText")
    history = run.history
    assert str(history.key_of(1234)) in told
    assert f"p{history.process[1234]}" in told
    assert f"{history.inv[1234]} and {history.ret[1234]} of events.jsonl" in told
    page.evaluate("location.hash = '#op-99999999'")
    page.wait("document.getElementById('status').textContent.includes('no operation 99999999')")


def test_a_chip_chooses_its_operation(
    page: Browser, report: tuple[Path, RunView, VerdictFile]
) -> None:
    path, _, verdicts = report
    page.open(path)
    page.evaluate(
        "[...document.querySelectorAll('#story .chip')].find((a) => a.textContent === '3').click()"
    )
    row = verdicts.verdicts[0].certificates[0].ops[2]
    page.wait(f"location.hash === '#op-{row}'")
    page.wait("document.getElementById('operation').innerText.includes('client')")


def test_keys_zoom_pan_and_go_to_faults(
    page: Browser, report: tuple[Path, RunView, VerdictFile]
) -> None:
    page.open(report[0])
    window = "document.getElementById('window').textContent"
    seen = [page.evaluate(window)]
    for key in ("0", "+", "ArrowRight", "f", "-", "n"):
        page.key(key)
        page.wait(f"{window} !== {seen[-1]!r}")
        seen.append(page.evaluate(window))
    assert seen[-1] == seen[0], "n leads back to the only anomaly"
    page.key("?")
    assert page.evaluate("document.getElementById('help').open")


def test_a_click_chooses_the_operation_under_it(
    page: Browser, report: tuple[Path, RunView, VerdictFile]
) -> None:
    path, run, verdicts = report
    row = verdicts.verdicts[0].certificates[0].ops[1]
    page.open(path, f"#op-{row}")
    page.key("Escape")
    page.wait("!location.hash")
    begin, end = run.history.t_inv[row] / 1e9, run.history.t_ret[row] / 1e9
    page.open(path, f"#t={begin - 0.001},{end + 0.001}")
    lane = run.history.process[row] % run.header["concurrency"]
    x, y = page.evaluate(f"""(() => {{
        const canvas = document.querySelector(".panel-clients canvas");
        canvas.scrollIntoView({{ block: "center" }});
        const box = canvas.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + 12 + ({lane} + 0.5) * 22];
    }})()""")
    page.click(x, y)
    page.wait(f"location.hash === '#op-{row}'")


def test_search_finds_what_matches_all_words(
    page: Browser, report: tuple[Path, RunView, VerdictFile]
) -> None:
    path, run, _ = report
    page.open(path)
    page.evaluate("""(() => {
        const box = document.getElementById("search");
        box.value = "k3 write ok";
        box.dispatchEvent(new Event("input"));
    })()""")
    history = run.history
    expected = sum(
        history.key_of(row) == 3 and history.f_of(row) == "write" and history.outcome[row] == 1
        for row in range(len(history))
    )
    assert page.evaluate("document.getElementById('found').textContent") == f"{expected} found"


def test_tables_say_what_is_drawn(page: Browser, report: tuple[Path, RunView, VerdictFile]) -> None:
    path, _, verdicts = report
    page.open(path)
    page.evaluate("document.getElementById('tables').open = true")
    page.wait("document.querySelectorAll('#tables table').length === 4")
    rows = page.evaluate(
        "[...document.querySelectorAll('#tables table:first-child a')].map((a) => a.hash)"
    )
    for row in verdicts.verdicts[0].certificates[0].ops:
        assert f"#op-{row}" in rows


def test_hostile_texts_stay_text_in_the_browser(page: Browser, hostile: Run) -> None:
    page.open(write_report(*hostile), "#op-0")
    assert_counts(page, hostile[0])
    page.key("0")
    page.evaluate("document.getElementById('tables').open = true")
    page.wait("document.querySelectorAll('#tables table').length === 4")
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert "<img src=x onerror=alert(1)>" in page.evaluate(
        "document.getElementById('operation').innerText"
    )


def test_an_empty_run_is_drawn(page: Browser, tmp_path: Path) -> None:
    run = RunView(
        header={}, history=History(), faults=[], nodes=[], phases=[], marks=[], complete=False,
        directory=tmp_path,
    )  # fmt: skip
    page.open(write_report(run, VerdictFile(validity="UNKNOWN", exit_code=2, verdicts=[])))
    assert_counts(page, run)


def test_a_block_of_another_schema_is_refused_in_words(
    page: Browser, report: tuple[Path, RunView, VerdictFile], tmp_path: Path
) -> None:
    text = report[0].read_text(encoding="utf-8")
    other = tmp_path / "report.html"
    other.write_text(text.replace('{"schema":1,', '{"schema":2,', 1), encoding="utf-8")
    page.open(other)
    assert status(page)["failed"] == "true"
    assert "data block of schema 2" in page.evaluate("document.getElementById('status').innerText")
    assert any("schema 2" in error for error in page.errors)
    page.errors.clear()


def test_a_foreign_script_does_not_run(
    page: Browser, report: tuple[Path, RunView, VerdictFile], tmp_path: Path
) -> None:
    """The policy's work: were there ever a way in, it leads nowhere."""
    text = report[0].read_text(encoding="utf-8")
    other = tmp_path / "report.html"
    added = (
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
    )
    other.write_text(text.replace("<main>", f"<main>{added}", 1), encoding="utf-8")
    page.open(other)
    assert page.evaluate("document.title") != "taken"
    assert any("Content Security Policy" in error for error in page.errors)
    page.errors.clear()
    page.requests.clear()


def test_a_hundred_thousand_operations_are_drawn(page: Browser, tmp_path: Path) -> None:
    run, verdicts = write_specimen(tmp_path, ops=130_000)
    assert len(run.history) >= 100_000
    path = write_report(run, verdicts)
    assert path.stat().st_size < 2_000_000
    page.open(path)
    assert_counts(page, run)
    page.key("0")
    page.wait("document.getElementById('window').textContent.startsWith('0')")
    for panel, colours in colours_of(page).items():
        assert colours >= COLOURS_LEAST, panel


def test_the_picture_of_the_readme_can_be_made_again(tmp_path: Path) -> None:
    make_picture(tmp_path / "report.png")
    data = (tmp_path / "report.png").read_bytes()
    assert data.startswith(SIGNATURE)
    assert len(data) < 100_000
