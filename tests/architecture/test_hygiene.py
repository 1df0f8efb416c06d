"""Rules that matter are checks: what must not be in any file, and what every target and ignore must say."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def tracked() -> list[Path]:
    told = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in told.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_machine_or_a_registry() -> None:
    forbidden = re.compile(
        r"/work/|/root/|/home/\w|files\.pythonhosted|pypi\.org|registry\.npmjs|BEGIN (OPENSSH |EC )?PRIVATE KEY"
    )
    me = Path(__file__)
    for file in tracked():
        if file == me or file.suffix in {".gz", ".png"}:
            continue
        found = forbidden.search(file.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{file.relative_to(ROOT)}: {found[0]}"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_product_never_sleeps_in_a_thread_and_catches_everything_only_with_a_reason(file: Path) -> None:
    lines = file.read_text().splitlines()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and node.attr == "sleep":
            assert getattr(node.value, "id", "") == "asyncio", f"{file.name}:{node.lineno} sleeps"
        if isinstance(node, ast.ExceptHandler) and getattr(node.type, "id", "") in ("Exception", "BaseException"):
            reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            assert reraises or "#" in lines[node.lineno - 1], f"{file.name}:{node.lineno} catches all without a reason"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_ignore_says_why(file: Path) -> None:
    for number, line in enumerate(file.read_text().splitlines(), 1):
        for mark in ("# type: ignore", "# noqa"):
            if mark in line:
                reason = line.split(mark, 1)[1]
                assert re.search(r"(  # | - )\w", reason), f"{file.name}:{number}: an ignore without a reason"


def test_every_make_target_has_a_help_line() -> None:
    targets = re.findall(r"^([a-z-]+):(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    silent = {name for name, rest in targets if "##" not in rest}
    assert silent == {"format-check"}


def test_what_is_required_is_pinned_and_no_address_is_in_the_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime = (ROOT / "requirements.txt").read_text()
    everything = (ROOT / "requirements-dev.txt").read_text()
    for wanted, pins in ((project["dependencies"], runtime), (project["optional-dependencies"]["dev"], everything)):
        for requirement in wanted:
            name = re.split(r"[\[>=;< ]", requirement)[0]
            assert re.search(rf"^{re.escape(name)}(\[.*\])?==", pins, re.MULTILINE), f"{name} is not pinned"
    assert "://" not in runtime + everything
    assert "--hash=sha256:" in runtime


def test_every_setting_of_a_tool_that_ignores_says_why() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    begin = lines.index("ignore = [")
    for line in lines[begin + 1 :]:
        if line.startswith("]"):
            break
        assert "#" in line, line
