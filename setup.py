"""Maps the real folders at the top of the repository to packages under the name dissensus.

`harness/` is imported as `dissensus.harness`, and so on: the reason stands in ARCHITECTURE.md.
"""

import importlib.util
from typing import Any

from setuptools import find_packages, setup

FOLDERS = ("harness", "nemeses", "checkers", "specs", "systems", "reports")

packages = ["dissensus"]
for folder in FOLDERS:
    packages.append(f"dissensus.{folder}")
    packages += [f"dissensus.{folder}.{sub}" for sub in find_packages(folder)]

native: dict[str, Any] = {}
# The backend asks for setuptools-rust where cargo is found.
if importlib.util.find_spec("setuptools_rust") is not None:
    from setuptools_rust import Binding, RustExtension, Strip

    native["rust_extensions"] = [
        RustExtension(
            "dissensus.checkers._engine",
            path="checkers/engine/Cargo.toml",
            binding=Binding.PyO3,
            optional=True,
            strip=Strip.Debug,
            py_limited_api=True,
        )
    ]
    native["options"] = {"bdist_wheel": {"py_limited_api": "cp311"}}

setup(
    **native,
    packages=packages,
    package_dir={"dissensus": "src/dissensus", **{f"dissensus.{f}": f for f in FOLDERS}},
)
