"""Pages that are made from the code: `make docs` writes them, and a test says when one is out of date."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

from orderhouse import cli
from orderhouse.analytics import readers as analytics_readers
from orderhouse.assembly import examination, facts, importing, mending, one_process, one_service, places, seed
from orderhouse.auth import readers as auth_readers
from orderhouse.orders import readers as orders_readers
from orderhouse.runtime import settings
from orderhouse.runtime.registry import schema_of
from orderhouse.runtime.web import flask_routes, problems
from orderhouse.tasks import readers as tasks_readers
from tools import checklist
from tools.symbols import ROOT

# A refusal is known once its module is loaded: these are loaded by commands, or when they are needed.
_LOADED = (examination, flask_routes, importing, mending, one_service, seed)

_MADE = "<!-- Made from the code by `make docs`: change the code, not this page. -->\n"


def pages() -> Mapping[Path, str]:
    """Return every page that is made, by its path."""
    document = openapi()
    return {
        ROOT / ".env.example": settings.example(),
        ROOT / "docs/checklist.md": checklist.page(),
        ROOT / "docs/reference/settings.md": _settings(),
        ROOT / "docs/reference/routes.md": _routes(document),
        ROOT / "docs/reference/problems.md": _problems(),
        ROOT / "docs/reference/facts.md": _facts(),
        ROOT / "docs/reference/asyncapi.json": _asyncapi(),
        ROOT / "docs/reference/commands.md": _commands(),
        ROOT / "docs/reference/boundaries.md": _boundaries(),
    }


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the whole product."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings.Settings(data_dir=Path(folder), _env_file=None)
        places.migrate_all(chosen)
        return one_process.app(chosen).openapi()


def _settings() -> str:
    parts = [
        "# Settings\n",
        _MADE,
        "From the environment or `.env`. Whatever is wrong is named at once, and nothing starts.\n",
    ]
    parts.append("| variable | default | what |\n|---|---|---|")
    for name, field in settings.Settings.model_fields.items():
        default = "" if "Secret" in str(field.annotation) else field.default
        parts.append(f"| `{settings.PREFIX}{name.upper()}` | `{default}` | {field.description} |")
    parts.append("\nSecrets may also come from a file: add `_FILE` to the variable's name.")
    return "\n".join(parts) + "\n"


def _routes(document: dict[str, Any]) -> str:
    parts = ["# Routes\n", _MADE, "| route | permission | what | refuses |\n|---|---|---|---|"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            refuses = ", ".join(status for status in operation["responses"] if status >= "4")
            what = operation.get("description", "")
            parts.append(f"| `{method.upper()} {path}` | {operation['x-permission']} | {what} | {refuses} |")
    return "\n".join(parts) + "\n"


def _problems() -> str:
    parts = ["# Problems\n", _MADE, "Every refusal is an RFC 9457 problem; its type is `/problems/` and the code.\n"]
    parts.append("| code | status | meaning |\n|---|---|---|")
    for kind in problems.catalogue():
        parts.append(f"| `{kind.code}` | {problems.status_of(kind)} | {kind().title} |")
    return "\n".join(parts) + "\n"


def _facts() -> str:
    parts = [
        "# Facts\n",
        _MADE,
        "What a context tells, in its log, in the transaction that made it happen. On the wire each is a "
        "CloudEvent 1.0 (`/v1/facts/CONTEXT`); the same as AsyncAPI: [asyncapi.json](asyncapi.json), served at "
        "`/asyncapi.json`; each schema is served at `/schemas/facts/NAME/VERSION`. "
        "How to add one: [howto](../howto/add-a-fact.md).\n",
    ]
    parts.append("| context | fact | meaning | data |\n|---|---|---|---|")
    for context, kind in facts.REGISTRY:
        data = ", ".join(f"`{name}`" for name in schema_of(kind).get("properties", {})) or "none"
        parts.append(f"| {context} | `{kind.name}` v{kind.version} | {kind.meaning} | {data} |")
    return "\n".join(parts) + "\n"


def _asyncapi() -> str:
    return json.dumps(facts.asyncapi(), indent=2, ensure_ascii=False) + "\n"


def _commands() -> str:
    parts = ["# Commands\n", _MADE, "| command | what |\n|---|---|"]
    for name, command in _all_commands("orderhouse", typer.main.get_command(cli.app)):
        words = [
            parameter.opts[0] if parameter.param_type_name == "option" else str(parameter.name).upper()
            for parameter in command.params
            if parameter.name != "help"
        ]
        parts.append(f"| `{' '.join([name, *words])}` | {_first_line(command.help)} |")
    return "\n".join(parts) + "\n"


def _all_commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield every command, those of groups too, by its whole name."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, below in sorted(command.commands.items()):
        yield from _all_commands(f"{name} {part}", below)


def _boundaries() -> str:
    """Return who owns which data, who reads whose facts, and what is kept twice."""
    parts = ["# Boundaries\n", _MADE, "Each context owns its tables; nobody else reads or writes them.\n"]
    parts.append("| context | tables of its own |\n|---|---|")
    for context, schema in places.SCHEMAS.items():
        parts.append(f"| {context} | {', '.join(sorted(schema.tables.tables))} |")
    parts.append("| analytics | documents, progress (DuckDB; made again from the orders' facts at will) |")
    parts.append("\n| reads | facts of | keeps twice | why, and how far behind it may be |\n|---|---|---|---|")
    kept = {
        "customers": "customer_cards: active, country | placing asks nobody; a deactivated customer can place no order "
        "a second later",
        "users": "team_members | a clerk sees what their team is answerable for, and asks nobody; a second later",
    }
    parts.extend(f"| orders | {source} | {kept[source]} |" for source in orders_readers.READS)
    parts.append(
        "| users | customers, by asking | a customer's id in a user's row | what a user of role customer may see; set "
        "when the address is verified, or by whoever invites |"
    )
    for source in auth_readers.READS:
        parts.append(
            f"| auth | {source} | the audit log: who had which role when | who may do less is out within a second; who "
            "somebody is, is asked when a token is given |"
        )
    for source in tasks_readers.READS:
        parts.append(
            f"| tasks | {source} | order_marks: which orders are on hold since when, which credits there are | rules "
            "ask about all of them, also when a rule is changed; a second |"
        )
    for source in analytics_readers.READS:
        parts.append(
            f"| analytics | {source} | a narrow row per document | sums over millions of rows; within a second |"
        )
    return "\n".join(parts) + "\n"


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def main() -> None:
    """Write every page that is out of date."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
