"""`python -m bench [placing] [reads] [verifying] [frameworks] …`: measure, and write docs/reference/performance.md.

What is not measured this time keeps the figures of the last time, with their date; what should have been and could not
is told at the end.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import (
    analytics,
    frameworks,
    importing,
    jobs,
    machine,
    moving,
    orm,
    overload,
    pages,
    placing,
    reads,
    report,
    soak,
    verifying,
    waking,
)

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "performance.md"

MEASURES: dict[str, Callable[[], dict[str, object]]] = {
    "placing": placing.measure,
    "moving": moving.measure,
    "pages": pages.measure,
    "reads": reads.measure,
    "verifying": verifying.measure,
    "frameworks": frameworks.measure,
    "orm": orm.measure,
    "overload": overload.measure,
    "importing": importing.measure,
    "analytics": analytics.measure,
    "waking": waking.measure,
    "jobs": jobs.measure,
    "soak": soak.measure,
}

ASKED_FOR = {"soak"}
"""What takes so long that it is measured when it is named, and not every time."""


def main(chosen: list[str]) -> int:
    """Measure what is chosen, or everything, and write the page."""
    unknown = set(chosen) - set(MEASURES)
    if unknown:
        print(f"There is {', '.join(MEASURES)}; not {', '.join(sorted(unknown))}.")
        return 2
    failed: list[str] = []
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in chosen or [one for one in MEASURES if one not in ASKED_FOR]:
        print(f"measuring {name} …", flush=True)
        begun = {"at": datetime.now(UTC).date().isoformat(), "machine": machine.told()}
        try:
            results[name] = {**begun, **MEASURES[name]()}
        except SystemExit as why:  # Something is not here, or went wrong: the others are measured all the same.
            print(why, flush=True)
            failed.append(name)
            continue
        # After each, so that what was measured is on the page whatever stops the next one.
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        PAGE.write_text(report.page(results))
        print(f"wrote {PAGE.name}", flush=True)
    if failed:
        print(f"not measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
