"""Commands about MLflow's stores: browse one, serve one, push a study to another."""

from pathlib import Path
from typing import Annotated

import typer

from study.cli.options import HomeOption, LaunchedArgument, StoreOption, checked_store, complete_launched
from study.state.home import DEFAULT_HOME, Home

server_app = typer.Typer()

PortOption = Annotated[int, typer.Option("--port", min=1, max=65535)]


@server_app.command()
def ui(
    name: Annotated[
        str | None,
        typer.Argument(help="Study whose trials are shown first; default: the newest.", autocompletion=complete_launched),
    ] = None,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
    port: PortOption = 5000,
) -> None:
    """Browse the records in MLflow until Ctrl-C; the printed address opens on the trials of a study, best first.

    Example: acl-study ui

    Example: acl-study ui table2-ssl --port 5001
    """
    from study.tracking.uri import existing_store

    records = existing_store(Home(home), store, [] if name is None else [name])
    if name is not None:
        from analysis.records.sql import check_recorded

        check_recorded(records, [name])

    from study.tracking.server import LOOPBACK, Listener, check_port, serve
    from study.tracking.store import SERVERS
    from study.tracking.view import address_of_runs

    if records.startswith(SERVERS):
        print(f"MLflow: {records.rstrip('/')}/{address_of_runs(records, name)} (a server of its own: open it in a browser)")
        return
    check_port(LOOPBACK, port)
    page = f"http://{LOOPBACK}:{port}/{address_of_runs(records, name)}"
    serve(records, Listener(port), lambda: print(f"MLflow: {page}  (Ctrl-C ends it)", flush=True))


@server_app.command()
def server(
    database: Annotated[
        str | None,
        typer.Option(
            "--database", callback=checked_store, help="SQLite or PostgreSQL address; default: a SQLite file in the home."
        ),
    ] = None,
    artifacts: Annotated[
        str | None, typer.Option("--artifacts", help="Folder, or s3://… for files of runs; default: a folder in the home.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0: all of this machine.")] = "127.0.0.1",
    port: PortOption = 5000,
    auth: Annotated[
        bool | None,
        typer.Option("--auth/--no-auth", help="Ask clients for user and password, or not; needed beyond this machine."),
    ] = None,
    names: Annotated[
        list[str], typer.Option("--name", help="A name by which clients reach this machine, beside its own; repeatable.")
    ] = [],  # noqa: B006 (typer copies it)
    certificate: Annotated[Path | None, typer.Option("--certificate", help="PEM file: serve https instead of http.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file with the certificate's key.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that answer.")] = 2,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Start an MLflow tracking server that studies can be recorded on, until Ctrl-C; it keeps their files, too.

    A password of a database comes from PGPASSWORD or ~/.pgpass, that of the administrator from MLFLOW_AUTH_ADMIN_PASSWORD.

    Example: acl-study server --database postgresql://me@host/records --host 0.0.0.0 --auth
    """
    from study.tracking.server import ServerOptions, run_server

    run_server(ServerOptions(database, artifacts, host, port, auth, names, certificate, key, workers), Home(home))


@server_app.command()
def sync(
    name: LaunchedArgument,
    store: Annotated[str, typer.Option("--store", callback=checked_store, help="MLflow tracking URI to push it to.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Push all records of a study to another store, with their times; what is there already stays.

    Example: acl-study sync table2-ssl --store http://server:5000
    """
    from study.results.sync import sync_study

    sync_study(name, store, Home(home))
