"""The commands and their options. What they do is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="SQLite, the secret key and files; SLUICEGATE_DATA_DIR otherwise."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Url = Annotated[
    str, typer.Option(envvar="SLUICEGATE_URL", help="The gateway that runs.", show_default=True, metavar="URL")
]
Key = Annotated[
    str | None,
    typer.Option(envvar="SLUICEGATE_KEY", help="An API key; the variable keeps it out of `ps`.", metavar="KEY"),
]

app = typer.Typer(
    name="sluicegate",
    help="A GraphQL gateway that syncs storages into datasets and streams the progress live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys, straight in the database.")
secrets = typer.Typer(no_args_is_help=True, help="The key that stored credentials are encrypted with.")
app.add_typer(keys, name="keys")
app.add_typer(secrets, name="secrets")


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"sluicegate {version('sluicegate')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A GraphQL gateway that syncs storages into datasets and streams the progress live."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8000,
    data_dir: DataDir = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no jobs in this process.")] = False,
) -> None:
    """Migrate the database, then serve GraphQL and run jobs until told to end."""
    from sluicegate.cli.serve import serve as command

    command(host=host, port=port, data_dir=data_dir, worker=not no_worker)


@app.command()
def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Jobs at a time; SLUICEGATE_WORKER_CONCURRENCY otherwise.")
    ] = None,
    job_class: Annotated[
        list[str] | None, typer.Option("--job-class", metavar="NAME", help="Run jobs of this class alone; repeatable.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address of --port.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Answer /healthz, /readyz and /metrics there; 0 takes one that is free."),
    ] = None,
) -> None:
    """Run jobs beside gateways on the same PostgreSQL until told to end."""
    from sluicegate.cli.worker import worker as command

    command(concurrency=concurrency, job_classes=job_class, host=host, port=port)


@app.command()
def migrate(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Bring the database's schema to this version's. Does nothing when it is."""
    from sluicegate.cli.database import migrate as command

    command(data_dir=data_dir, as_json=as_json)


@app.command()
def schema() -> None:
    """Print the public GraphQL schema as SDL."""
    from sluicegate.cli.database import print_schema

    print_schema()


@app.command()
def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Check every part of this installation, say what is wrong and how to mend it."""
    from sluicegate.cli.doctor import doctor as command

    command(data_dir=data_dir, as_json=as_json)


@app.command()
def sync(
    storage_id: Annotated[str, typer.Argument(metavar="STORAGE", help="The storage's id.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show the progress until the job ends.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Read everything again, also what has not changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find out what would change and write nothing.")] = False,
    url: Url = "http://127.0.0.1:8000",
    key: Key = None,
    namespace: Annotated[str | None, typer.Option(help="For a key that opens several.", metavar="NAME")] = None,
    as_json: Json = False,
) -> None:
    """Sync a storage of a running gateway."""
    from sluicegate.cli.sync import Request
    from sluicegate.cli.sync import sync as command

    command(Request(storage_id, full, dry_run, watch, as_json), url=url, key=key, namespace=namespace)


@app.command()
def demo(
    stop: Annotated[bool, typer.Option("--exit", help="End when done instead of keeping GraphiQL open.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The gateway's port; 0 takes one that is free.")] = 0,
) -> None:
    """Watch a real bucket become a dataset, live: an S3 server, a gateway and two syncs, all on this machine."""
    from sluicegate.demo import demo as command

    command(stop=stop, port=port)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="READ, WRITE or ADMIN; each includes those before it.")
    ] = None,
    namespace: Annotated[list[str] | None, typer.Option(help="Which it opens; made when there is none.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, max=3650, help="Never when not given.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key and print its secret: the only time that it can be seen."""
    from sluicegate.cli.keys import create

    create(
        name=name,
        scopes=scope or ["ADMIN"],
        namespaces=namespace or [],
        expires_in_days=expires_in_days,
        data_dir=data_dir,
        as_json=as_json,
    )


@keys.command("list")
def keys_list(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List every key, without its secret."""
    from sluicegate.cli.keys import show

    show(data_dir=data_dir, as_json=as_json)


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="ID|PREFIX", help="As `keys list` shows it.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """End a key now. What it has open in a running gateway ends within 5 seconds."""
    from sluicegate.cli.keys import revoke

    revoke(key=key, data_dir=data_dir, as_json=as_json)


@secrets.command("new-key")
def secrets_new_key() -> None:
    """Print a fresh key for SLUICEGATE_SECRET_KEY."""
    from sluicegate.cli.secrets import new_key

    new_key()


@secrets.command("rotate")
def secrets_rotate(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Encrypt all stored credentials with a new key (embedded), or with the first of SLUICEGATE_SECRET_KEY."""
    from sluicegate.cli.secrets import rotate

    rotate(data_dir=data_dir, as_json=as_json)
