"""The command line: what an operator does with an Orderhouse."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console

from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import Role
from orderhouse.runtime.settings import Settings, SettingsInvalid, loaded

app = typer.Typer(
    name="orderhouse",
    help="The back office for orders that you can start with one command, and prove.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)
letters = typer.Typer(no_args_is_help=True)
app.add_typer(letters, name="dead-letters", help="Facts that failed and are parked: look at them, mend them.")


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Where to listen; 127.0.0.1 unless set.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 8000 unless set.")] = None,
) -> None:
    """Set everything up and serve the whole product from this process."""
    from orderhouse.assembly import data_folder, one_process, places, process
    from orderhouse.assembly.serving import serve_until_told
    from orderhouse.runtime import telemetry

    process.begin()
    with _told():
        settings = loaded(signs_in=True, host=host, port=port)
        for_people = telemetry.set_up(settings.log_level, settings.log_format)
        telemetry.take_over_last_words()
        with data_folder.held(settings.data_dir):
            places.migrate_all(settings)
            product = one_process.app(settings, partial(_tell_password, settings) if for_people else None)
            _welcome(settings, for_people=for_people)
            serve_until_told(product, settings)


@app.command()
def serve(
    name: Annotated[str, typer.Argument(help="Which context: auth, customers, tasks or users.")],
    host: Annotated[str | None, typer.Option(help="Where to listen; 127.0.0.1 unless set.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 8000 unless set.")] = None,
) -> None:
    """Serve one context alone, as a service with its own port and database."""
    import structlog

    from orderhouse.assembly import data_folder, one_service, process
    from orderhouse.assembly.serving import serve_until_told
    from orderhouse.runtime import telemetry

    process.begin()
    with _told():
        settings = loaded(signs_in=name == "auth", host=host, port=port)
        telemetry.set_up(settings.log_level, settings.log_format)
        telemetry.take_over_last_words()
        one_service.check(name)
        with data_folder.held(settings.data_dir, name):
            one_service.migrate(name, settings)
            product = one_service.app(name, settings)
            structlog.get_logger().info("serving", service=name, address=settings.address)
            serve_until_told(product, settings)


def _welcome(settings: Settings, *, for_people: bool) -> None:
    address = settings.address
    where = "PostgreSQL" if settings.postgres_url else f"SQLite in {settings.data_dir}"
    let_in = "orderhouse token --role owner"
    if not for_people:
        import structlog

        structlog.get_logger().info("serving", address=address, database=where, let_in=let_in)
        return
    console.print(f"[bold]Orderhouse[/bold] serves {address} on {where}; the API is documented at {address}/docs")
    console.print("This prints a token that lets you in, in another terminal:", f"  {let_in}", sep="\n")


def _tell_password(settings: Settings, password: str) -> None:
    console.print(
        f"The first owner signs in once with this password, and chooses another: [bold]{password}[/bold]",
        f"  orderhouse login --email {settings.owner_email} --url {settings.address}",
        sep="\n",
    )


@app.command()
def migrate() -> None:
    """Bring every database to the schema this version needs."""
    from orderhouse.assembly import places
    from orderhouse.runtime.migrate import current

    with _told():
        settings = loaded()
        places.migrate_all(settings)
        for context, schema in places.SCHEMAS.items():
            console.print(f"{context}: revision {current(schema, places.place_of(context, settings))}")


@app.command()
def revise(
    context: Annotated[str, typer.Argument(help="Whose tables changed.")],
    message: Annotated[str, typer.Argument(help="What changed, in a few words.")],
) -> None:
    """Write the next migration of a context: what turns its migrated database into what the code knows."""
    from orderhouse.assembly import places
    from orderhouse.runtime import migrate as migrations

    with _told():
        if context not in places.SCHEMAS:
            raise SettingsInvalid(f"Known contexts: {', '.join(places.SCHEMAS)}.")
        settings = loaded()
        places.migrate_all(settings)
        console.print(str(migrations.revise(places.SCHEMAS[context], places.place_of(context, settings), message)))


@app.command()
def token(
    role: Annotated[
        Role | None, typer.Option(help="An operator's, of this role; else of whoever is signed in.")
    ] = None,
    subject: Annotated[str, typer.Option(help="Who the bearer is.")] = "operator",
    customer: Annotated[UUID | None, typer.Option(help="For role customer: which customer.")] = None,
    minutes: Annotated[float, typer.Option(min=0.01, max=525_600, help="How long it is good for.")] = 60,
) -> None:
    """Print a bearer token: of whoever signed in with `login`, or with --role one that the data folder's key makes."""
    from orderhouse.runtime.tokens import SigningKeys

    with _told():
        if role is None:
            typer.echo(_login().token())
            return
        if (role == "customer") != (customer is not None):
            raise SettingsInvalid("--customer goes with --role customer, and --role customer needs it.")
        keys = SigningKeys(loaded().keys_folder)
        typer.echo(keys.issue(subject, role, minutes=minutes, customer_id=customer))


@app.command()
def login(
    email: Annotated[str | None, typer.Option(help="Your address; asked for where it is not given.")] = None,
    url: Annotated[str, typer.Option(help="Where the house is.")] = "http://127.0.0.1:8000",
    *,
    device: Annotated[bool, typer.Option("--device", help="Be let in from a browser, here or elsewhere.")] = False,
) -> None:
    """Sign in: the password is asked for, or read from a pipe, a line for each thing that is asked."""
    with _told():
        if device:
            _let_in_from_a_browser(url.rstrip("/"))
            return
        wanted = {"email": email or _answer("E-mail address"), "password": _answer("Password", secret=True)}
        while missing := _login().begin(url.rstrip("/"), wanted):
            if missing == "second_factor_needed":
                wanted["code"] = _answer("Code of your second factor")
            else:
                wanted["new_password"] = _answer("Your new password, ten characters or more", secret=True)
        console.print(f"You are signed in at {url} as {wanted['email']}.", highlight=False)


def _let_in_from_a_browser(url: str) -> None:
    import threading

    here = _login()
    waiting = here.begin_device(url)
    console.print(f"Open {waiting.page} and type in [bold]{waiting.user_code}[/bold], within ten minutes.")
    while not here.was_let_in(waiting):
        # As often as the server said (RFC 8628), and it has no other way to tell.
        threading.Event().wait(waiting.every_s)
    console.print(f"You are signed in at {url}.", highlight=False)


@app.command()
def logout() -> None:
    """Sign out, there and here."""
    with _told():
        _login().end()
        console.print("Nobody is signed in here.")


def _login() -> Any:
    from orderhouse.assembly.login import Login

    return Login(Path(typer.get_app_dir("orderhouse")) / "login.json")


def _answer(question: str, *, secret: bool = False) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=secret, err=True))
    line = sys.stdin.readline()
    if not line:
        raise SettingsInvalid(f"{question}: nothing more is in the pipe.")
    return line.rstrip("\n")


@app.command()
def rotate_keys(
    keep_minutes: Annotated[
        float,
        typer.Option(min=11, help="How long a key that signs no more goes on verifying; tokens may last so long."),
    ] = 60,
) -> None:
    """Make a new signing key, and take away those that ended long ago. Servers notice; no token is refused for it."""
    from orderhouse.runtime.tokens import SETTLES_S, SigningKeys

    with _told():
        folder = loaded().keys_folder
        SigningKeys(folder)
        made = SigningKeys.add(folder)
        retired = SigningKeys.retire(folder, after_s=keep_minutes * 60)
        console.print(f"{made.name} signs in {SETTLES_S:g} seconds; {len(retired)} old keys were taken away.")


@app.command()
def seed() -> None:
    """Fill in a small, lifelike data set for a first look. Doing it again changes nothing."""
    from orderhouse.assembly.seed import seed as sown

    with _told():
        report = asyncio.run(_with_contexts(loaded(), lambda contexts: sown(contexts)))
        console.print(str(report))


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="The format: online-retail.")],
    file: Annotated[Path, typer.Argument(help="A CSV file, packed by gzip or plain.")],
    *,
    update: Annotated[bool, typer.Option("--update", help="Take documents again that changed since.")] = False,
    report: Annotated[Path | None, typer.Option(help="Where to write the refused rows.")] = None,
) -> None:
    """Import a source's documents, with the server up or down. Doing it again changes nothing."""
    from orderhouse.assembly import importing

    with _told():
        settings = loaded()
        clean = asyncio.run(
            _with_contexts(
                settings,
                lambda contexts: importing.run(
                    contexts, settings, source, file, update=update, report=report, console=console
                ),
            )
        )
        raise typer.Exit(0 if clean else 1)


@app.command()
def worker(
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="How many jobs at a time; 8 unless set.")] = None,
) -> None:
    """Do jobs in a process of its own, beside the server; several share the work."""
    from orderhouse.assembly import process, working
    from orderhouse.runtime import telemetry

    process.begin()
    with _told():
        settings = loaded(job_threads=threads)
        telemetry.set_up(settings.log_level, settings.log_format)
        asyncio.run(_with_contexts(settings, lambda contexts: working.work(contexts, settings)))


@app.command()
def readers() -> None:
    """Print who reads whose facts, how far each has come, and what it has parked."""
    from orderhouse.assembly import mending

    with _told():
        _done(lambda contexts: mending.readers(contexts, Console()))


@app.command()
def replay(
    reader: Annotated[str, typer.Argument(help="Whose effects are to be had again, as `readers` names it.")],
    first: Annotated[int, typer.Argument(min=1, help="The position of the first fact.")],
    last: Annotated[int, typer.Argument(min=1, help="The position of the last fact.")],
) -> None:
    """Have a reader take a range of facts again, with the server up or down."""
    from orderhouse.assembly import mending

    with _told():
        queued = _done(lambda contexts: mending.range_replayed(contexts, reader, first, last))
        console.print(f"{queued} facts are queued for {reader}; a running server takes them.")


@letters.command("list")
def list_letters(
    reader: Annotated[str | None, typer.Option(help="Only this reader's.")] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Only those that are given up.")] = False,
) -> None:
    """List the facts that failed and are parked: id, reader, state, fact, attempts and reason, between tabs."""
    from orderhouse.assembly import mending

    with _told():
        for line in _done(lambda contexts: mending.listed(contexts, reader, only_dead=dead)):
            typer.echo(line)


@letters.command("show")
def show_letter(letter: Annotated[UUID, typer.Argument(help="Its id.")]) -> None:
    """Print a dead letter as JSON: why it failed, and what it says."""
    from orderhouse.assembly import mending

    with _told():
        typer.echo(_done(lambda contexts: mending.shown(contexts, letter)))


@letters.command("edit")
def edit_letter(
    letter: Annotated[UUID, typer.Argument(help="Its id.")],
    data: Annotated[str, typer.Option(help="The data it shall have, as JSON; - reads it from the input.")],
) -> None:
    """Give a dead letter other data; the fact in the log stays as it was told."""
    from orderhouse.assembly import mending

    with _told():
        text = sys.stdin.read() if data == "-" else data
        typer.echo(_done(lambda contexts: mending.mended(contexts, letter, text)))


@letters.command("replay")
def replay_letter(letter: Annotated[UUID, typer.Argument(help="Its id.")]) -> None:
    """Have a dead letter tried now, with all its attempts anew."""
    from orderhouse.assembly import mending

    with _told():
        typer.echo(_done(lambda contexts: mending.replayed(contexts, letter)))


@letters.command("drop")
def drop_letter(letter: Annotated[UUID, typer.Argument(help="Its id.")]) -> None:
    """Give a dead letter up for good: its effects are never had, and its aggregate goes on."""
    from orderhouse.assembly import mending

    with _told():
        _done(lambda contexts: mending.dropped(contexts, letter))


@app.command()
def doctor() -> None:
    """Check this installation, and say what is wrong with it."""
    from orderhouse.assembly import examination

    with _told():
        healthy = examination.report(loaded(), console)
        raise typer.Exit(0 if healthy else 1)


def _done(work: Any) -> Any:
    """Return what `work` makes of the contexts; what is logged goes beside what is printed."""
    from orderhouse.runtime import telemetry

    settings = loaded()
    telemetry.set_up(settings.log_level, settings.log_format)
    return asyncio.run(_with_contexts(settings, work))


async def _with_contexts(settings: Settings, work: Any) -> Any:
    from orderhouse.assembly import places
    from orderhouse.assembly.contexts import Contexts

    places.migrate_all(settings)
    contexts = Contexts.opened(settings)
    try:
        return await work(contexts)
    finally:
        await contexts.close()


@contextmanager
def _told() -> Iterator[None]:
    """Tell a refusal in words instead of a traceback, and end with status 2."""
    try:
        yield
    except Refusal as refusal:
        console.print(f"[red]{refusal.title}[/red]", highlight=False)
        if refusal.detail:
            console.print(refusal.detail, highlight=False, markup=False)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    sys.exit(app())
