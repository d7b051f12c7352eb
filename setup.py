"""Maps the real folders at the top of the repository to packages under the name dissensus.

`harness/` is imported as `dissensus.harness`, and so on: the reason stands in ARCHITECTURE.md.
"""

from setuptools import find_packages, setup

FOLDERS = ("harness", "nemeses", "checkers", "specs", "systems", "reports")

packages = ["dissensus"]
for folder in FOLDERS:
    packages.append(f"dissensus.{folder}")
    packages += [f"dissensus.{folder}.{sub}" for sub in find_packages(folder)]

setup(
    packages=packages,
    package_dir={"dissensus": "src/dissensus", **{f"dissensus.{f}": f for f in FOLDERS}},
)
