"""The page of figures, made from what was measured."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

_HEAD = """# Performance

<!-- Made by `make bench`: measure again, do not edit. -->

Every figure stands beside its limit or its rival, measured in the same session, in turns. These machines are small and
noisy: trust ratios, and differences of a factor of two, not of a fifth. What a step through memory takes tells how loud
the neighbours on the same host were: 160 to 190 ns where it was quiet, 300 and more where not, and then the interpreter
loses more than what it is measured against.
"""

_NAMES = {
    "loop_1": "limit: a bare loop, one a commit",
    "loop_32": "limit: a bare loop, 32 a commit",
    "cte": "limit: pgbench, the whole order as one statement",
    "sep": "pgbench, a statement at a time",
    "move": "limit: pgbench, the whole move as one statement",
    "bare_32": "a server that only parses, writes and answers, 32 connections",
    "product_32": "**Orderhouse, 32 connections**",
    "product_1": "Orderhouse, one connection",
}


def page(results: dict[str, Any]) -> str:
    """Return the page."""
    parts = [_HEAD]
    chapters = {
        "placing": _placing,
        "moving": _moving,
        "pages": _pages,
        "reads": _reads,
        "verifying": _verifying,
        "frameworks": _frameworks,
        "orm": _orm,
        "overload": _overload,
        "waking": _waking,
        "soak": _soak,
        "importing": _importing,
        "analytics": _analytics,
        "jobs": _jobs,
    }
    for name, write in chapters.items():
        if name in results:
            parts += write(results[name])
    return "\n".join(parts) + "\n"


def _placing(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Placing orders\n\n`python -m bench placing`, {told['at']}, {told['machine']}.\n"
    yield (
        "The product is whole: a documented route, a token, permissions, history, facts, a stored answer under a "
        "distinct Idempotency-Key, three lines an order (in its row; the limit's have their own), analytics reading "
        "along; a hundred customers, whose cards are checked by what is written and not looked up each time; load by "
        "wrk on the same machine.\n"
    )
    yield from _beside_the_limit(told, "order")


def _moving(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Moving orders\n\n`python -m bench moving`, {told['at']}, {told['machine']}.\n"
    yield (
        "Orders that are confirmed, packed, shipped and delivered, whole as above: a token, permissions, history, "
        "facts, a stored answer under a distinct Idempotency-Key. What it is measured against sets an order's status "
        "and version, claims a key and adds a row to an outbox.\n"
    )
    yield from _beside_the_limit(told, "move")


def _beside_the_limit(told: dict[str, Any], each: str) -> Iterator[str]:
    for database in ("sqlite", "postgresql"):
        found = told[database]
        settings = ", ".join(f"{name} {value}" for name, value in found.get("settings", {}).items())
        yield f"### {'SQLite, synchronous = FULL' if database == 'sqlite' else f'PostgreSQL ({settings})'}\n"
        yield f"| | {each}s/s: median (min–max) | p50 ms | p99 ms | database CPU, µs each | server CPU, µs each |"
        yield "|---|---|---|---|---|---|"
        for name, rounds in found["rounds"].items():
            speeds = [one["per_s"] for one in rounds]
            p50, p99 = (statistics.median(one[key] for one in rounds) for key in ("p50_ms", "p99_ms"))
            cpu, server = (_median_if_any([one.get(key) for one in rounds]) for key in ("cpu_us", "server_us"))
            yield (
                f"| {_NAMES[name]} | {statistics.median(speeds):,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f}) "
                f"| {p50:.1f} | {p99:.1f} | {cpu} | {server} |"
            )
        ratio = found["ratio"]
        yield (
            f"\nOf the limit ({_NAMES[ratio['of']].removeprefix('limit: ')}): **{ratio['median']:.2f}**, "
            f"round by round {', '.join(f'{one:.2f}' for one in ratio['rounds'])}.\n"
        )


def _median_if_any(found: Sequence[float | None]) -> str:
    known = [one for one in found if one is not None]
    return f"{statistics.median(known):.0f}" if known else ""


def _pages(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Memory in huge pages\n\n`python -m bench pages`, {told['at']}, {told['machine']}.\n"
    yield (
        "Placing orders from 32 connections, by two servers that differ in `ORDERHOUSE_HUGE_PAGES` alone, in turns. "
        f"The kernel gives them so: `{told['kernel']}`.\n"
    )
    yield "| | orders/s: median (min–max) | p99 ms | server CPU, µs an order | resident MiB | of its cost, by rounds |"
    yield "|---|---|---|---|---|---|"
    for database in ("sqlite", "postgresql"):
        found = told[database]
        ratio = found["ratio"]
        for name, rounds in found["rounds"].items():
            speeds = [one["per_s"] for one in rounds]
            p99, cpu, mib = (statistics.median(one[key] for one in rounds) for key in ("p99_ms", "cpu_us", "mib"))
            with_them = name == "true"
            of_it = f"**{ratio['median']:.2f}** ({', '.join(map(str, ratio['rounds']))})" if with_them else ""
            yield (
                f"| {database}, {'**huge pages**' if with_them else 'small pages'} "
                f"| {statistics.median(speeds):,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f}) "
                f"| {p99:.1f} | {cpu:.0f} | {mib:.0f} | {of_it} |"
            )
    yield ""


def _reads(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Reading {told['orders']:,} orders\n\n`python -m bench reads`, {told['at']}, {told['machine']}.\n"
    yield (
        "The rival is the same two routes as most write them, in `bench/rivals`: FastAPI with dependencies and "
        "response models, SQLAlchemy's ORM over asyncpg and aiosqlite. Both read the same rows by the same indexes, "
        "check the same token by the same verifier, and answer the same JSON, which is compared first; 32 connections "
        "of wrk on the same machine, in turns. The product also writes a log line for each.\n"
    )
    yield "| | | answers/s: median (min–max) | p50 ms | p99 ms | server CPU, µs each | times the rival, by rounds |"
    yield "|---|---|---|---|---|---|---|"
    for database in ("sqlite", "postgresql"):
        for kind, found in told[database].items():
            for name, rounds in found["rounds"].items():
                speeds = [one["per_s"] for one in rounds]
                p50, p99, cpu = (
                    statistics.median(one[key] for one in rounds) for key in ("p50_ms", "p99_ms", "cpu_us")
                )
                ratio = found["ratio"]
                times = (
                    f"**{ratio['median']:.1f}** ({', '.join(map(str, ratio['rounds']))})" if name == "product" else ""
                )
                yield (
                    f"| {kind}, {database} | {'**Orderhouse**' if name == 'product' else 'rival'} "
                    f"| {statistics.median(speeds):,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f}) "
                    f"| {p50:.1f} | {p99:.1f} | {cpu:,.0f} | {times} |"
                )
    yield f"\nA page of 50 at nine tenths of {told['deep_orders']:,} orders, its statement and rows, in ms:\n"
    yield "| | p50 | p99 |\n|---|---|---|"
    for database, deep in told["deep"].items():
        for how, ms in (("through the driver", deep["ms"]), ("as it tells itself", deep.get("within_ms"))):
            if ms:
                yield f"| {database}, {how} | {ms['p50']} | {ms['p99']} |"
    yield ""


def _verifying(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Knowing who asks\n\n`python -m bench verifying`, {told['at']}, {told['machine']}.\n"
    yield (
        f"A token verified by the verifier every route uses: {told['tokens']:,} bearers in turn, {told['revoked']:,} "
        "revocations followed. The bar is 60 µs for one that is remembered; the first time, the signature is checked.\n"
    )
    yield "| | p50 µs | p99 µs | p50 by rounds |\n|---|---|---|---|"
    for key, name in (("warm_us", "**remembered by its hash**"), ("cold_us", "for the first time")):
        one = told[key]
        yield f"| {name} | {one['p50']} | {one['p99']} | {', '.join(map(str, one['rounds']))} |"
    yield ""


def _frameworks(told: dict[str, Any]) -> Iterator[str]:
    yield f"## FastAPI and Flask behind one edge\n\n`python -m bench frameworks`, {told['at']}, {told['machine']}.\n"
    yield (
        f"One customer (a FastAPI route) beside one user (a Flask view) of {told['things']:,} each, and a page of "
        "fifty: one process of the product on SQLite, the same token, limits and log line; 32 connections of wrk on "
        "the same machine, in turns.\n"
    )
    yield "| | | answers/s: median (min–max) | p50 ms | p99 ms | server CPU, µs each | Flask's more, µs, by rounds |"
    yield "|---|---|---|---|---|---|---|"
    for kind in ("get one", "list of 50"):
        found = told[kind]
        for name, rounds in found["rounds"].items():
            speeds = [one["per_s"] for one in rounds]
            p50, p99, cpu = (statistics.median(one[key] for one in rounds) for key in ("p50_ms", "p99_ms", "cpu_us"))
            more = found["more_us"]
            cell = f"**{more['median']}** ({', '.join(map(str, more['rounds']))})" if name == "flask" else ""
            yield (
                f"| {kind} | {'Flask, users' if name == 'flask' else 'FastAPI, customers'} "
                f"| {statistics.median(speeds):,.0f} ({min(speeds):,.0f}–{max(speeds):,.0f}) "
                f"| {p50:.1f} | {p99:.1f} | {cpu:,.0f} | {cell} |"
            )
    yield ""


def _orm(told: dict[str, Any]) -> Iterator[str]:
    yield f"## The ORM, Core and plain SQL\n\n`python -m bench orm`, {told['at']}, {told['machine']}.\n"
    yield (
        f"Users' own tables with {told['users']:,} rows, in the same transaction on the same connection; to the state "
        "a route answers from (Core: to its rows). Microseconds of this process's processor time, which on PostgreSQL "
        "leaves out the database's own: median (min–max).\n"
    )
    yield "| | ORM | Core | plain SQL, as the house does it |\n|---|---|---|---|"
    for database in ("sqlite", "postgresql"):
        for what, found in told[database].items():
            yield f"| {what}, {database} | {' | '.join(_spread(found[how]) for how in ('orm', 'core', 'sql'))} |"
    yield ""


def _overload(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Five times too much\n\n`python -m bench overload`, {told['at']}, {told['machine']}.\n"
    yield (
        f"{told['clients']:,} clients send orders as fast as they are answered to a server whose queue of writes holds "
        f"{told['queue']}; who is refused hears 503 with Retry-After, and does not heed it. That is as much as the "
        "machine gives, which is shared by clients, server, database and whoever else is on it. Before it the peak; "
        f"after it {told['usual']} clients, second by second, until a second's p99 is no worse than the worst before.\n"
    )
    yield (
        "| | peak, orders/s | **placed in the storm, of the peak** (by rounds) | refused/s | of them told when to come "
        "again | p50 / longest ms | usual p99 ms | as before after, s |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for database in ("sqlite", "postgresql"):
        rounds, kept = told[database]["rounds"], told[database]["kept"]
        peak, shed, p50, usual = (
            statistics.median(one[key] for one in rounds)
            for key in ("peak_per_s", "shed_per_s", "p50_ms", "usual_p99_ms")
        )
        heard, turned_away = (sum(one[key] for one in rounds) for key in ("told_when", "shed"))
        yield (
            f"| {database} | {peak:,.0f} | **{kept['median']:.2f}** ({', '.join(map(str, kept['rounds']))}) "
            f"| {shed:,.0f} | {heard:,} of {turned_away:,} "
            f"| {p50:,.0f} / {max(one['max_ms'] for one in rounds):,.0f} | {usual:.0f} "
            f"| {', '.join(str(one['recovered_s']) for one in rounds)} |"
        )
    yield ""


def _waking(told: dict[str, Any]) -> Iterator[str]:
    yield f"## From fact to effect\n\n`python -m bench waking`, {told['at']}, {told['machine']}.\n"
    yield (
        f"{told['facts']} facts a round, one now and then, with nothing else to do: from when whoever told a fact knew "
        "that it is durable to when its effect in another context was. Median of the rounds, and each of them.\n"
    )
    yield "| | p50 ms | p99 ms |"
    yield "|---|---|---|"
    for name, rounds in told["latencies"].items():
        cells = [_each([one[quantile] for one in rounds]) for quantile in ("p50_ms", "p99_ms")]
        yield f"| {name} | {' | '.join(cells)} |"
    yield (
        f"\n{told['contexts']} contexts in one PostgreSQL commit a fact each, as fast as they can. Other processes are "
        "told of them:\n"
    )
    yield "| | transactions/s |"
    yield "|---|---|"
    names = {"apart, together": "**apart from the commits, those of 20 ms together**"}
    for how, figures in told["commits"].items():
        yield f"| {names.get(how, how)} | {_each(figures)} |"
    yield ""


def _each(figures: list[float]) -> str:
    return f"**{statistics.median(figures):,g}** ({', '.join(f'{one:,g}' for one in figures)})"


def _soak(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Memory over {told['minutes']:g} minutes\n\n`python -m bench soak`, {told['at']}, {told['machine']}.\n"
    yield (
        f"{told['clients']} clients place orders all the time, and pages, orders and figures are asked for beside. "
        "Resident MiB of the server; the slope is the line of least squares through what came after the first fifth. "
        f"The cache of the analytics file, which grows with the file up to its bound, may have {told['cache_mb']} MB "
        "here, and 96 unless set (`ORDERHOUSE_ANALYTICS_MEMORY_MB`).\n"
    )
    yield "| | orders | at first | warm | at last | most | slope, MiB an hour | flat |"
    yield "|---|---|---|---|---|---|---|---|"
    for database in ("sqlite", "postgresql"):
        one = told[database]
        yield (
            f"| {database} | {one['orders']:,} | {one['first_mib']} | {one['warm_mib']} | {one['last_mib']} "
            f"| {one['most_mib']} | **{one['slope_mib_per_hour']}** | {'yes' if one['flat'] else 'no'} |"
        )
    yield ""


def _importing(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Importing 541,909 lines\n\n`python -m bench importing`, {told['at']}, {told['machine']}.\n"
    yield (
        "Wall time of the whole command, the start of the interpreter included. Beside a server, orders are placed one "
        "after the other while the import runs.\n"
    )
    yield (
        "| | lines/s | seconds | import, peak MB | again, seconds | beside a server, seconds "
        "| orders meanwhile, p50 / p99 ms | server, peak MB |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for database in ("sqlite", "postgresql"):
        one = told[database]
        beside = one["beside_a_server"]
        yield (
            f"| {database} | **{one['lines_per_s']:,}** | {', '.join(map(str, one['seconds']))} | {one['import_mb']} "
            f"| {one['again_seconds']} | {beside['seconds']} | {beside['p50_ms']} / {beside['p99_ms']} "
            f"| {one['server_mb']} |"
        )
    yield ""


def _analytics(told: dict[str, Any]) -> Iterator[str]:
    projection = told["projection"]
    kept_up = projection["keeps_up"]
    yield f"## Analytics over {told['documents']:,} documents\n"
    yield f"`python -m bench analytics`, {told['at']}, {told['machine']}.\n"
    yield (
        f"The projection, with its default settings, was filled with {projection['facts_per_s']:,} facts a second, the "
        f"making of them included. Then {kept_up['orders_per_s']:,} orders a second were told, and a tenth as many "
        f"moves of earlier ones, while figures were asked for: the oldest fact was {kept_up['median_lag_s']} s late "
        f"(median; at most {kept_up['max_lag_s']} s), and the projection was busy {kept_up['busy']:.0%} of the time. "
        f"The whole process had {projection['process_mb']} MB.\n"
    )
    yield "Milliseconds: median (min–max). The projection's are to the answer's JSON bytes, the others' to the rows.\n"
    yield "| | projection | SQLite, live | SQLite, rollup | PostgreSQL, live | PostgreSQL, rollup |"
    yield "|---|---|---|---|---|---|"
    for name, ms in projection["ms"].items():
        cells = [
            _spread(told[database].get(f"{kind}: {name}"))
            for database in ("sqlite", "postgresql")
            for kind in ("live", "rollup")
        ]
        yield f"| {name} | **{_spread(ms)}** | {' | '.join(cells)} |"
    yield ""


def _jobs(told: dict[str, Any]) -> Iterator[str]:
    yield f"## Jobs\n\n`python -m bench jobs`, {told['at']}, {told['machine']}.\n"
    yield (
        f"{told['jobs']:,} jobs that do nothing wait; one worker process of {told['threads']} threads finishes them, "
        "each durably: its result, its fact and its place in the queue. The rivals acknowledge each when it is done; "
        "Redis syncs every command (`appendfsync always`), PostgreSQL every commit.\n"
    )
    yield "| | jobs/s: median (rounds) |\n|---|---|"
    rows = {
        "**Orderhouse on SQLite**": told["sqlite"]["per_s"],
        "**Orderhouse on PostgreSQL**": told["postgresql"]["per_s"],
    }
    rivals = told["rivals"]
    for name, found in (rows | ({} if "not had" in rivals else rivals)).items():
        yield f"| {name} | {found['median']:,.0f} ({', '.join(f'{one:,.0f}' for one in found['rounds'])}) |"
    if "not had" in rivals:
        yield "\nThe rivals could not be installed where this was measured."
    yield "\nFrom asking to beginning, nothing else to do:\n\n| | p50 ms | p99 ms |\n|---|---|---|"
    for name, database in (("SQLite", "sqlite"), ("PostgreSQL", "postgresql")):
        for where, found in told[database]["begun_ms"].items():
            yield f"| {name}, {where} | {found['p50']:.1f} | {found['p99']:.1f} |"
    yield "\nPlacing orders, eight connections, while a worker beside the server makes ten reports, again and again:\n"
    yield "| | p99 ms alone | p99 ms with reports | ratio |\n|---|---|---|---|"
    for name, database in (("SQLite", "sqlite"), ("PostgreSQL", "postgresql")):
        if found := told[database]["placing"]:
            alone, busy = (statistics.median(found[key]) for key in ("alone_p99_ms", "with_reports_p99_ms"))
            yield f"| {name} | {alone:.1f} | {busy:.1f} | {found['ratio']:.2f} |"


def _spread(ms: dict[str, float] | None) -> str:
    return f"{ms['median']:,.1f} ({ms['min']:,.1f}–{ms['max']:,.1f})" if ms else ""
