"""The style of the house that no linter holds: each rule is a test over the tracked files."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("harness", "nemeses", "checkers", "specs", "systems", "reports")
LINE_MAX = 100
FILE_LINES_MAX = 500
CORE_LINES_MAX = 900
"""A protocol core is read from top to bottom beside its paper: one file, even if long."""
FUNCTION_LINES_MAX = 70
BINARY_BYTES_MAX = 100_000
ARCHITECTURE_LINES_MAX = 60
SHELL_FOLDERS = ("scripts", "parts", "nightly.d")

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|not implemented|would normally)\b", re.I)
PACKAGE_HOST = re.compile(r"https?://(registry|proxy|files|repo\d?|index|static)\.[a-z]+[.a-z]*")
HOME = re.compile(r"(?<![\w.])/(home|root|work|Users)/[a-z]")


def tracked() -> list[Path]:
    """Files of the repository: git's word, or all but hidden and built ones."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        names = [name for name in listing.stdout.decode().split("\0") if name]
        paths = [ROOT / name for name in names]
    else:
        skipped = {"build", "dist", "store"}
        paths = [
            path
            for path in ROOT.rglob("*")
            if not skipped & set(path.relative_to(ROOT).parts)
            and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        ]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


TRACKED = tracked()
PYTHON = [path for path in TRACKED if path.suffix == ".py"]
SOURCE = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in (*FOLDERS, "src")]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PYTHON}


def where(path: Path, line: int = 0) -> str:
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def text_of(path: Path) -> str | None:
    """The text of a file, None where it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_lines_are_at_most_100_columns() -> None:
    others = [
        p for p in TRACKED if p.suffix in (".sh", ".js", ".css") or p.parent.name in SHELL_FOLDERS
    ]
    long = [
        where(path, number)
        for path in {*PYTHON, *others}
        for number, line in enumerate((text_of(path) or "").split("\n"), 1)
        if len(line) > LINE_MAX
    ]
    assert not long


def test_files_and_functions_are_short() -> None:
    found = []
    for path in SOURCE:
        core = path.relative_to(ROOT).parts[:2] == ("systems", "reference")
        most = CORE_LINES_MAX if core else FILE_LINES_MAX
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > most:
            found.append(f"{where(path)}: {lines} lines, at most {most}")
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES_MAX:
                    found.append(f"{where(path, node.lineno)}: {node.name} has {size} lines")
    assert not found


def test_every_module_says_what_it_is_for() -> None:
    silent = [where(path) for path in PYTHON if not ast.get_docstring(TREES[path])]
    assert not silent


def test_no_word_of_unfinished_work() -> None:
    me = Path(__file__).resolve()
    found = [
        f"{where(path, number)}: {line.strip()[:80]}"
        for path in TRACKED
        if path.suffix in (".py", ".sh", ".js", ".toml") and path != me
        for number, line in enumerate((text_of(path) or "").split("\n"), 1)
        if UNFINISHED.search(line)
    ]
    assert not found


def test_no_path_of_a_machine_and_no_package_host() -> None:
    me = Path(__file__).resolve()
    found = [
        f"{where(path, number)}: {line.strip()[:80]}"
        for path in TRACKED
        if path != me
        for number, line in enumerate((text_of(path) or "").split("\n"), 1)
        if PACKAGE_HOST.search(line) or HOME.search(line)
    ]
    assert not found


def test_no_global_randomness_no_pickle_no_swallowed_error() -> None:
    found = []
    for path in SOURCE:
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None)
                names = [module] if module else [alias.name for alias in node.names]
                if {"random", "pickle"} & set(names):
                    found.append(f"{where(path, node.lineno)}: imports {names}")
            if isinstance(node, ast.ExceptHandler):
                silent = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
                broad = node.type is None or (
                    isinstance(node.type, ast.Name)
                    and node.type.id in ("Exception", "BaseException")
                )
                if silent and broad:
                    found.append(f"{where(path, node.lineno)}: swallows every error")
    assert not found


def test_no_file_is_dead() -> None:
    """Every module is imported, or named, somewhere else: in code, packaging or a document."""
    texts = {
        path: text_of(path) or ""
        for path in TRACKED
        if path.suffix in (".py", ".toml", ".md", ".j2")
    }
    dead = []
    drawn = [path for path in TRACKED if path.parent.name in ("static", "templates")]
    for path in [*SOURCE, *drawn]:
        if path.name in ("__init__.py", "__main__.py"):
            continue
        # Modules are named by their stem, what lies in static/ and templates/ by the whole name.
        name = re.compile(rf"\b{re.escape(path.name if path in drawn else path.stem)}\b")
        if not any(name.search(text) for other, text in texts.items() if other != path):
            dead.append(where(path))
    assert not dead


def test_no_large_binary() -> None:
    large = [
        f"{where(path)}: {path.stat().st_size} bytes"
        for path in TRACKED
        if text_of(path) is None and path.stat().st_size > BINARY_BYTES_MAX
    ]
    assert not large


def test_links_match_folders() -> None:
    links = ROOT / "src" / "dissensus"
    found = {}
    for entry in links.iterdir():
        if entry.is_symlink():
            found[entry.name] = entry.readlink().as_posix()
        elif entry.is_file() and entry.name in FOLDERS:
            # A checkout without symbolic links has a small file with the target in it.
            found[entry.name] = entry.read_text(encoding="utf-8").strip()
    assert found == {folder: f"../../{folder}" for folder in FOLDERS}


def test_architecture_is_one_page() -> None:
    lines = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()
    assert 20 <= len(lines) <= ARCHITECTURE_LINES_MAX
    text = "\n".join(lines)
    packages = {path.parent.relative_to(ROOT) for path in SOURCE if path.parts[-2] != "dissensus"}
    unnamed = [str(package) for package in packages if f"{package.name}/`" not in text]
    assert not unnamed
    folders = re.findall(r"`((?:\w+/)+)`", text)
    known = [f"/{parent.relative_to(ROOT)}/" for path in TRACKED for parent in path.parents[:-1]
             if parent.is_relative_to(ROOT)]  # fmt: skip
    assert not [folder for folder in folders if not any(k.endswith(f"/{folder}") for k in known)]


def test_changelog_has_its_shape() -> None:
    """A title, then versions, newest first, each with groups of items that are sentences."""
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# Changelog"
    versions = [line for line in lines if line.startswith("## ")]
    assert versions
    for line in versions:
        assert re.fullmatch(r"## (Unreleased|\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\))", line), line
    groups = {line for line in lines if line.startswith("### ")}
    assert groups <= {"### New", "### Changed", "### Fixed", "### Removed"}
    for item in re.findall(r"^- (.+(?:\n  .+)*)", "\n".join(lines), re.M):
        assert item.rstrip().endswith("."), item


@pytest.mark.parametrize("path", [p for p in TRACKED if p.suffix == ".md"], ids=where)
def test_links_of_documents_lead_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http") and not (path.parent / target).exists():
            broken.append(target)
    assert not broken
