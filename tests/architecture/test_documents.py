"""What the documents say is there, is there; what is there, is documented."""

import re
from pathlib import Path

import pytest

from orderhouse.runtime.settings import PREFIX, Settings
from tools import checklist, pages
from tools.symbols import ROOT, lines_of

PAGES = pages.pages()
CONTEXTS = sorted((ROOT / "src/orderhouse").glob("*/contract.py"))
PROSE = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "src/orderhouse").glob("*/README.md"), ROOT / "README.md"])
OF_THE_TESTS = {f"{PREFIX}TEST_POSTGRES_URL", f"{PREFIX}TEST_BARS", f"{PREFIX}REAL_DATA"}
SECTIONS = ["What it owns", "Run it alone", "Test it alone", "Change it", "Settings"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_made_from_the_code_are_up_to_date(page: Path) -> None:
    assert page.exists(), "run `make docs`"
    assert page.read_text(encoding="utf-8") == PAGES[page], "run `make docs`"


def test_every_setting_route_fact_command_and_problem_has_its_line() -> None:
    for name in ("settings", "routes", "facts", "commands", "problems"):
        assert len(PAGES[ROOT / f"docs/reference/{name}.md"].splitlines()) > 6


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_name_a_page_mentions_exists(page: Path) -> None:
    for symbol in re.findall(
        r"`((?:src|tests|bench|tools)/[\w/.-]+\.\w+(?::[\w.]+)?)`", page.read_text(encoding="utf-8")
    ):
        lines_of(symbol)


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("contract", CONTEXTS, ids=lambda contract: str(contract.parent.name))
def test_every_context_says_what_it_owns_how_it_is_run_and_tested_alone_and_its_settings(contract: Path) -> None:
    text = contract.with_name("README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    (tests,) = re.findall(r"^\.venv/bin/python -m pytest (.+)$", text, re.MULTILINE)
    for pattern in tests.split():
        assert list(ROOT.glob(pattern)), pattern


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_a_page_names_is_one(page: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OF_THE_TESTS
    for name in re.findall(rf"\b{PREFIX}[A-Z_]+\b", page.read_text(encoding="utf-8")):
        assert name.removesuffix("_FILE") in known, name


def test_the_checklist_names_what_exists() -> None:
    assert list(checklist.missing()) == []


def test_a_name_that_does_not_exist_is_noticed() -> None:
    for symbol in ("src/nowhere.py", "src/orderhouse/cli.py:nothing", "src/orderhouse/kernel/money.py:exact.inner"):
        with pytest.raises(LookupError):
            lines_of(symbol)


def test_no_row_is_both_done_and_open_and_every_row_is_one() -> None:
    done, still_open = {row.id for row in checklist.rows()}, set(checklist.open_rows())
    assert not done & still_open
    wanted = {
        f"{letter}{n}"
        for letter, last in (("C", 16), ("O", 16), ("F", 17), ("T", 11), ("K", 12))
        for n in range(1, last + 1)
    }
    assert done | still_open == wanted
