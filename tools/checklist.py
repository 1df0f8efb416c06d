"""`docs/checklist.toml`: which row of the mission is done, and the code, test and paragraph that show it.

python -m tools.checklist           names what does not exist
python -m tools.checklist covered   also: each named test ran the named code, by the coverage data of the last run
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.symbols import ROOT, lines_of

FILE = ROOT / "docs" / "checklist.toml"


@dataclass(frozen=True)
class Row:
    """A row of the mission that is done."""

    id: str
    what: str
    code: str
    test: str
    page: str


def rows() -> list[Row]:
    """Return the rows that are done."""
    return [Row(id=key, **value) for key, value in _read()["done"].items()]


def open_rows() -> dict[str, str]:
    """Return the rows that are open, with what they ask for."""
    found: dict[str, str] = _read()["open"]
    return found


def _read() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def missing() -> Iterator[str]:
    """Yield a line for each name in the list that does not exist."""
    for row in rows():
        for symbol in (row.code, row.test.replace("::", ":", 1).replace("::", ".")):
            try:
                lines_of(symbol)
            except LookupError as error:
                yield f"{row.id}: {error}"
        page, _, anchor = row.page.partition("#")
        if not (ROOT / page).is_file():
            yield f"{row.id}: {page}: there is no such page"
        elif anchor and anchor not in _anchors((ROOT / page).read_text(encoding="utf-8")):
            yield f"{row.id}: {page} has no heading for #{anchor}"


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def not_run() -> Iterator[str]:
    """Yield a line for each row whose test did not run its code in the run that wrote the coverage data."""
    from coverage import CoverageData

    data = CoverageData(str(ROOT / ".coverage"))
    data.read()
    for row in rows():
        path, _, _ = row.code.partition(":")
        contexts = data.contexts_by_lineno(str(ROOT / path))
        ran = {context for line in lines_of(row.code) for context in contexts.get(line, ())}
        if not any(context.split("|")[0].split("[")[0] == row.test for context in ran):
            yield f"{row.id}: {row.test} did not run {row.code}"


def page() -> str:
    """Return the checklist as a page."""
    parts = [
        "# Checklist\n",
        "Made from `docs/checklist.toml` by `make docs`. Each row that is done names the code, a test that runs it "
        "(held against the coverage data of every full run), and where it is explained.\n",
        "| row | what | code | test | told in |\n|---|---|---|---|---|",
    ]
    parts += [
        f"| {row.id} | {row.what} | `{row.code}` | `{row.test}` | [{row.page}]({_relative(row.page)}) |"
        for row in rows()
    ]
    parts.append("\n## Open\n\n| row | what |\n|---|---|")
    parts += [f"| {key} | {what} |" for key, what in open_rows().items()]
    return "\n".join(parts) + "\n"


def _relative(page: str) -> str:
    return page.removeprefix("docs/") if page.startswith("docs/") else f"../{page}"


def main(arguments: list[str]) -> int:
    """Print what is wrong; return the exit status."""
    troubles = list(missing())
    if not troubles and arguments == ["covered"]:
        troubles = list(not_run())
    for trouble in troubles:
        print(trouble)
    print(f"checklist: {len(rows())} rows done, {len(open_rows())} open, {len(troubles)} troubles")
    return bool(troubles)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
