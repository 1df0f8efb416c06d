"""The house's layout: every module is where the rules know it, and a module that breaks a rule is noticed."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "orderhouse"
CONTEXTS = ("customers", "orders", "analytics", "users", "jobs", "tasks", "auth")

FILES = {
    "__init__",
    "contract",
    "errors",
    "schemas",
    "models",
    "repository",
    "reads",
    "service",
    "routes",
    "readers",
} | {
    "client",
    "wiring",
    "migrations",
}
EXTRAS = {
    "orders": {"importers", "exports", "cards"},
    "analytics": {"changes", "projection", "zones"},
    "customers": set[str](),
    "users": set[str](),
    "jobs": {"files", "kind", "kinds", "neighbours", "runners", "worker"},
    "tasks": {"timekeeper"},
    "auth": {"passwords", "sealing", "mail", "outside"},
}
"""What a context has besides the usual files, and nothing else."""


def names(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}


def contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: list[dict[str, object]] = settings["tool"]["importlinter"]["contracts"]
    return found


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_has_the_usual_files_and_its_named_extras_only(context: str) -> None:
    assert names(PACKAGE / context) <= FILES | EXTRAS[context]


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_contexts_init_is_one_docstring(context: str) -> None:
    text = (PACKAGE / context / "__init__.py").read_text().strip()
    assert text.startswith('"""')
    assert text.endswith('"""')
    assert text.count('"""') == 2


def test_every_package_stands_on_a_floor() -> None:
    floors = " ".join(str(layer) for layer in contracts()[0]["layers"])  # type: ignore[attr-defined]
    for name in names(PACKAGE) - {"__init__", "__main__"}:
        assert f"orderhouse.{name}" in floors, f"{name} is on no floor of the import contracts"


def test_every_file_of_a_context_is_in_the_inner_layers() -> None:
    layers = " ".join(str(layer) for layer in contracts()[1]["layers"])  # type: ignore[attr-defined]
    for context in CONTEXTS:
        for name in names(PACKAGE / context) - {"__init__", "migrations"}:
            assert f"({name})" in layers, f"{context}/{name} is in no layer of the import contracts"


VIOLATIONS = {
    "1. Floors": ("kernel/money.py", "import orderhouse.runtime.facts"),
    "2. Inside a context": ("orders/models.py", "import orderhouse.orders.service"),
    "3. A context knows": ("orders/service.py", "import orderhouse.customers.models"),
    "3b.": ("customers/service.py", "import orderhouse.orders.models"),
    "4. What decides": ("orders/service.py", "import fastapi"),
    "5. Only models": ("orders/service.py", "import sqlalchemy"),
}


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_module_that_breaks_a_contract_is_caught(contract: str, tmp_path: Path) -> None:
    file, line = VIOLATIONS[contract]
    copy = tmp_path / "src" / "orderhouse"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    broken = copy / file
    broken.write_text(f"{broken.read_text()}\n{line}\n")
    linter = (
        "import sys; from importlinter.cli import lint_imports_command; sys.argv = ['lint']; lint_imports_command()"
    )
    done = subprocess.run(
        [sys.executable, "-c", linter],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    broken_lines = [one for one in done.stdout.splitlines() if one.startswith(contract) and "BROKEN" in one]
    assert broken_lines or f"{contract}" in done.stdout.split("Broken contracts")[-1]
