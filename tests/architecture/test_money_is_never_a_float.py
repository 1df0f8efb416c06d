"""No float ever holds an amount: where money is handled, nothing that makes one may be written."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from orderhouse.assembly.places import SCHEMAS

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "orderhouse"
MONEY = [PACKAGE / "kernel" / "money.py", *(PACKAGE / "orders").rglob("*.py"), *(PACKAGE / "analytics").rglob("*.py")]

SECONDS = {
    # (file, line's text): these are seconds of waiting, not amounts.
    ("orders/importers/driver.py", "_DELAYS_S"),
    ("orders/importers/driver.py", "_LOOK_EVERY_S"),
    ("orders/importers/driver.py", "_WISHED_S"),
    ("orders/importers/driver.py", "seconds"),
    ("orders/importers/driver.py", "began"),
    ("orders/importers/driver.py", "random.uniform"),
    ("analytics/wiring.py", "REST_S"),
}


def floats(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, why) for everything that makes or names a float."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"the number {node.value}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield node.lineno, "a division with /"
        elif isinstance(node, ast.Name) and node.id in ("float", "round"):
            yield node.lineno, node.id


def in_money_code(file: Path) -> list[str]:
    lines = file.read_text().splitlines()
    where = str(file.relative_to(PACKAGE))
    return [
        f"{where}:{number}: {why}"
        for number, why in floats(file.read_text())
        if not any(where == allowed and mark in lines[number - 1] for allowed, mark in SECONDS)
        # a path is joined with the same sign as a division
        and not (why.startswith("a division") and ('"' in lines[number - 1] or "folder" in lines[number - 1]))
    ]


@pytest.mark.parametrize("file", MONEY, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_where_money_is_handled_nothing_makes_a_float(file: Path) -> None:
    assert in_money_code(file) == []


@pytest.mark.parametrize("line", ["x = 0.5", "x = a / b", "x = float(a)", "x = round(a)", "def f(a: float): ..."])
def test_the_lint_catches_a_float(line: str) -> None:
    assert list(floats(line))


def test_no_column_is_a_float() -> None:
    for schema in SCHEMAS.values():
        for table in schema.tables.tables.values():
            for column in table.columns:
                assert not isinstance(column.type, sa.Float | sa.Numeric), f"{table.name}.{column.name}"
    assert "DOUBLE" not in (PACKAGE / "analytics" / "projection.py").read_text()
