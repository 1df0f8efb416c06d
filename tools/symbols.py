"""Names as the documents write them, `path/to/file.py:Class.method`, held against the code."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def lines_of(symbol: str) -> range:
    """Return the lines of the body of `path:name`, nested names by dots; LookupError when there is no such thing."""
    path, _, name = symbol.partition(":")
    file = ROOT / path
    if not file.is_file():
        raise LookupError(f"{path}: there is no such file")
    node: ast.AST = ast.parse(file.read_text(encoding="utf-8"))
    for part in filter(None, name.split(".")):
        node = _child(node, part, symbol)
    body = getattr(node, "body", None)
    if not isinstance(body, list) or not body:
        line = getattr(node, "lineno", 1)
        return range(line, line + 1)
    first = body[1] if _is_docstring(body[0]) and len(body) > 1 else body[0]
    return range(first.lineno, (getattr(node, "end_lineno", None) or body[-1].end_lineno or first.lineno) + 1)


def _child(node: ast.AST, name: str, symbol: str) -> ast.AST:
    for child in ast.walk(node):
        if child is node:
            continue
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name == name:
            return child
        if isinstance(child, ast.Assign | ast.AnnAssign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return child
    raise LookupError(f"{symbol}: {name} is not defined there")


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
