"""The files that install the course agree with each other and with what the code really imports."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE_DATA = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
PINS = {canonicalize_name(name): pin for name, pin in PINS.items()}
OURS = {"lmcore", "widgets", "tests", "benchmarks"}
IN_ITS_OWN_ENVIRONMENT = "trl"  # benchmarks/trl_peer.py says how to make it


def declared(*extras: str) -> list[str]:
    return PROJECT["dependencies"] + [one for extra in extras for one in EXTRAS[extra]]


def closure(requirements: list[str]) -> set[str]:
    """Everything that installing these here brings along, by the installed packages' own word."""
    found: set[str] = set()
    todo = [(Requirement(one), "") for one in requirements]
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        if name in found and not requirement.extras:
            continue
        found.add(name)
        for wanted in requirement.extras or [""]:
            todo += [(Requirement(one), wanted) for one in requires(name) or []]
    return found


def imports(folder: str) -> dict[str, set[Path]]:
    """Modules of others, top-level names, and the files under `folder` that import them."""
    found: dict[str, set[Path]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                found.setdefault(module.split(".")[0], set()).add(path.relative_to(ROOT))
    return {name: files for name, files in found.items() if name not in sys.stdlib_module_names}


def test_every_installed_package_is_pinned_to_one_version():
    assert all(re.fullmatch(r"[\w.]+", pin) for pin in PINS.values()), "exact versions, without +cpu and the like"
    missing = closure(declared("test", "browser")) - PINS.keys() - {"setuptools"}  # pip freeze leaves that out
    assert not missing, f"constraints.txt has no pin for {sorted(missing)}; README.md says how to renew it"


def test_every_pin_lies_in_the_declared_range():
    for one in map(Requirement, declared(*EXTRAS)):
        assert one.specifier.contains(PINS[canonicalize_name(one.name)]), f"{one} does not admit the tested version"
    assert PINS["torch"] == "2.13.0"


def test_every_pin_runs_on_the_oldest_python_that_is_promised():
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"  # Debian 12 has 3.11.2
    wants = {name: metadata(name)["Requires-Python"] or "" for name in closure(declared("test", "browser"))}
    assert not {name: wanted for name, wanted in wants.items() if not SpecifierSet(wanted).contains(oldest)}


def test_ranges_stay_wide():
    for one in map(Requirement, declared(*EXTRAS)):
        assert {part.operator for part in one.specifier} == {">="}, f"{one}: exact versions belong in constraints.txt"


@pytest.mark.parametrize(
    "folder, extras",
    [
        ("lmcore", ()),
        ("widgets", ()),
        ("course", ()),
        ("tests", ("test", "browser")),
        ("benchmarks", ("test", "browser")),
    ],
)
def test_what_is_imported_is_installed(folder, extras):
    """Directly or, like traitlets with ipywidgets, by what stands in pyproject.toml."""
    distributions, brought = packages_distributions(), closure(declared(*extras))
    for module, files in imports(folder).items():
        if module in OURS or module in ("exercises", "experiments", IN_ITS_OWN_ENVIRONMENT):
            continue
        candidates = {canonicalize_name(name) for name in distributions.get(module, [module])}
        assert candidates & brought, f"{sorted(map(str, files))} import {module}; pyproject.toml does not bring it"


def test_imports_point_down():
    front_end = {"widgets", "tests", "benchmarks", "IPython", "ipywidgets", "anywidget", "plotly", "jupyterlab"}
    assert not front_end & imports("lmcore").keys(), "lmcore knows nothing of Jupyter"
    assert not {"tests", "benchmarks"} & imports("widgets").keys()
    program = (
        "import sys, lmcore.models, lmcore.trainers, lmcore.checkpoints;"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"IPython", "ipywidgets", "plotly", "datasets"} & set(run.stdout.split())


def test_all_data_files_are_installed():
    for folder in ("lmcore", "widgets"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert f"*{path.suffix}" in PACKAGE_DATA, f"{path.relative_to(ROOT)} would not be installed"


def test_conda_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert pip == {"pip": ["-c constraints.txt", f"-e .[{','.join(EXTRAS)}]"]}
    python, *rest = conda
    assert rest == ["pip"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))


@pytest.mark.parametrize("path", ["Makefile", "README.md", ".github/workflows/ci.yml"])
def test_pip_is_always_called_the_same_way(path):
    assert f'pip install -c constraints.txt -e ".[{",".join(EXTRAS)}]"' in (ROOT / path).read_text()


def test_this_version_is_the_installed_one():
    try:
        assert version(PROJECT["name"]) == PROJECT["version"]
    except PackageNotFoundError:
        raise AssertionError("the course is not installed here: make install") from None
