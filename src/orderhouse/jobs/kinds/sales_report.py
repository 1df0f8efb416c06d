"""Sales of some time as a page with charts, or as a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from pydantic import AfterValidator, Field, model_validator

from orderhouse.jobs.kind import Argument, Job, job
from orderhouse.jobs.neighbours import Cut
from orderhouse.kernel import clock
from orderhouse.kernel.zones import known_zone
from orderhouse.runtime.tabular import Column, write_csv, write_parquet

_MOST = 1000
_TEN_YEARS = 3653
_FIGURES = ("orders", "credits", "gross", "credit_total", "net")


Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2199, 12, 31))]


class SalesWanted(Argument):
    """Of which days, cut by what, written as what."""

    first_day: Day
    last_day: Day = Field(description="Included.")
    format: Literal["html", "csv", "parquet"] = "html"
    by: Literal["day", "week", "month", "customer", "user", "country", "status"] = Field(
        "day", description="What a row of a table is; a page shows several cuts."
    )
    time_zone: Annotated[str, AfterValidator(known_zone)] | None = Field(None, description="Whose days; the shop's.")
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$", description="Needed where there are several.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= (self.last_day - self.first_day).days < _TEN_YEARS:
            raise ValueError("last_day is first_day or later, and within ten years")
        return self

    def cut(self, by: str, limit: int | None = None) -> Cut:
        """Return one cut of it."""
        return Cut(by, self.first_day, self.last_day, self.time_zone, self.currency, limit)


@job(permission="analytics:read")
def sales_report(argument: SalesWanted, running: Job) -> Mapping[str, Any]:
    """Write sales of some days to a file: a page with charts, or a table as CSV or Parquet."""
    made = running.folder / f"sales-{argument.first_day}-{argument.last_day}.{argument.format}"
    figures = _page(made, argument, running) if argument.format == "html" else _table(made, argument, running)
    running.progress(1, 1, "keeping the file")
    told = {name: figures[name] for name in ("currency", "time_zone", "totals", "fresh_as_of")}
    return {"file": running.keep(made), **told}


def _table(made: Path, wanted: SalesWanted, running: Job) -> Mapping[str, Any]:
    limit = _MOST if wanted.by in ("customer", "user", "country") else None
    figures = running.wait_for(running.neighbours.sales.figures(wanted.cut(wanted.by, limit), clock.now()))
    named = (Column("name"), Column("external_id")) if wanted.by == "customer" else ()
    columns = (
        Column(wanted.by),
        *named,
        *(Column(name, "integer" if name in ("orders", "credits") else "decimal") for name in _FIGURES),
        Column("currency"),
    )
    write: Callable[[Path, Sequence[Column], Iterator[Sequence[Any]]], int] = (
        write_csv if wanted.format == "csv" else write_parquet
    )
    names = ("key", *(column.name for column in named), *_FIGURES)
    write(made, columns, ((*(item[name] for name in names), figures["currency"]) for item in figures["items"]))
    return figures


def _page(made: Path, wanted: SalesWanted, running: Job) -> Mapping[str, Any]:
    """Write a page of everything at a glance; no script is in it, so it opens and prints anywhere."""
    days = (wanted.last_day - wanted.first_day).days + 1
    period = "day" if days <= 92 else "week" if days <= 731 else "month"
    cuts = (wanted.cut(period), wanted.cut("customer", 15), wanted.cut("country", 10), wanted.cut("status"))
    found: dict[str, Mapping[str, Any]] = {}
    began = clock.now()
    for count, cut in enumerate(cuts):
        running.check()
        running.progress(count, len(cuts), f"by {cut.by}")
        found[cut.by] = running.wait_for(running.neighbours.sales.figures(cut, began))
    tables = [(by, _rows(figures["items"])) for by, figures in found.items() if by != period]
    sales = found[period]
    page = _template().render(wanted=wanted, period=period, sales=sales, bars=_bars(sales["items"]), tables=tables)
    made.write_text(page, encoding="utf-8")
    return sales


class Bar(NamedTuple):
    """A bar of the chart, in its own units: whole numbers, as money is."""

    x: int
    y: int
    height: int
    label: str
    net: str


WIDTH, HEIGHT = 1200, 240


def _bars(items: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """Return a bar for each period, up from the line of nothing or down from it."""
    nets = [_minor(item["net"]) for item in items]
    top, bottom = max([0, *nets]), min([0, *nets])
    span = max(1, top - bottom)

    def y(net: int) -> int:
        return (top - net) * HEIGHT // span

    return [
        Bar(n * WIDTH // len(items), min(y(net), y(0)), max(1, abs(y(net) - y(0))), item["key"], item["net"])
        for n, (item, net) in enumerate(zip(items, nets, strict=True))
    ]


def _rows(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table, each with how long its bar is in hundredths of the longest."""
    longest = max([1, *(abs(_minor(item["net"])) for item in items)])
    return [
        {**item, "name": item.get("name") or item["key"], "share": abs(_minor(item["net"])) * 100 // longest}
        for item in items
    ]


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))


@lru_cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("sales_report.html")
