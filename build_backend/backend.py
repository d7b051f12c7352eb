"""PEP 517 backend: setuptools, and the native engine where `cargo` is found."""

from __future__ import annotations

import shutil
import sys

from setuptools import build_meta as _setuptools
from setuptools.build_meta import *  # noqa: F403

RUST = "setuptools-rust>=1.13"


def _native() -> list[str]:
    if shutil.which("cargo"):
        return [RUST]
    print(
        "dissensus: no cargo found, the slow pure-Python engine will judge histories",
        file=sys.stderr,
    )
    return []


def get_requires_for_build_wheel(config_settings=None):  # type: ignore[no-untyped-def]
    return _setuptools.get_requires_for_build_wheel(config_settings) + _native()


def get_requires_for_build_editable(config_settings=None):  # type: ignore[no-untyped-def]
    return _setuptools.get_requires_for_build_editable(config_settings) + _native()
