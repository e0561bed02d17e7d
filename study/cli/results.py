"""Commands about the results of a launched study: how far it is, what it has found, whether that holds, its figures.

What can be refused without MLflow, pandas and torch is refused before they are imported, which takes seconds.
"""

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from study.cli.options import (
    AddressOption,
    CpusOption,
    GpusOption,
    HomeOption,
    JsonOption,
    LaunchedArgument,
    StoreOption,
    complete_launched,
    given_resources,
)
from study.errors import RecordError, StoreUnavailableError
from study.state.home import DEFAULT_HOME, Home

results_app = typer.Typer()


@results_app.command()
def status(
    name: Annotated[
        str | None, typer.Argument(help="Name of a launched study; none lists all.", autocompletion=complete_launched)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every few seconds, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Show how far studies are, while they run or afterwards.

    Example: acl-study status table1-supervised --watch

    Example: acl-study status --json
    """
    if watch and as_json:
        raise typer.BadParameter("--json prints one object and --watch prints for ever; leave one of them out")
    from study.cli.status import show_status

    show_status(Home(home), name, watch=watch, as_json=as_json)


@results_app.command()
def best(
    name: LaunchedArgument,
    as_json: JsonOption = False,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print what validation has selected, and how it compares with the baseline on the test clips.

    Example: acl-study best table1-supervised
    """
    from study.state.study_folder import load_study
    from study.tracking.uri import existing_store

    places = Home(home)
    study = load_study(places, name)
    kept = existing_store(places, store, [name])

    if as_json:
        from study.cli.run import print_results

        print_results(study, places, kept)
        return
    from study.results.best import print_best

    print_best(study, places, kept)


@results_app.command()
def compare(
    first: Annotated[
        str,
        typer.Argument(help="Name of a launched study, or a trial: STUDY/TRIAL or its run id.", autocompletion=complete_launched),
    ],
    second: Annotated[str, typer.Argument(help="The same, to compare it with.", autocompletion=complete_launched)],
    as_json: JsonOption = False,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print what differs between two studies or two trials: settings, and test accuracies clip by clip; write a page of it.

    Example: acl-study compare table2-ssl table2-paper
    """
    from analysis.records.sql import check_recorded
    from study.tracking.uri import existing_store

    places = Home(home)
    kept = existing_store(places, store, [first.partition("/")[0]])
    check_recorded(kept, [first, second])

    from analysis.compare import compare as compare_sides
    from analysis.compare import compared_lines, write_comparison
    from study.console import print_json, print_lines

    compared = compare_sides(kept, first, second)
    file = f"{first} and {second}.html".replace("/", " ")
    page = write_comparison(kept, compared, places.reports / "compared" / file)
    if as_json:
        from study.cli.json_fields import compare_fields

        print_json(compare_fields(compared, str(page)))
    else:
        print_lines(compared_lines(compared))
        print(f"page: {page}")


@results_app.command()
def confirm(
    name: LaunchedArgument,
    seeds: Annotated[int | None, typer.Option("--seeds", min=3, help="How many fresh seeds; default: 5.")] = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run the winners of a study and their baselines again, on seeds that it did not use, and say what holds.

    Example: acl-study confirm table1-supervised --seeds 5
    """
    from study.cli.run import launch_study, print_results
    from study.console import reserved_stdout
    from study.state.study_folder import load_storage, load_study
    from study.tracking.uri import existing_store

    places = Home(home)
    study = load_study(places, name)
    storage = load_storage(places, name)
    kept = existing_store(places, None, [name])

    from analysis.errors import AnalysisError
    from study.results.confirm import confirmation_study

    store, ended = None if kept == places.store_uri else kept, None
    with reserved_stdout(as_json):
        again = confirmation_study(study, places, kept, seeds, given_resources(cpus, gpus))
        try:
            launch_study(again, places, address, store, storage.uri if storage else None)
        except typer.Exit as error:  # trials are left or failed
            ended = error
    if as_json:
        with suppress(AnalysisError) if ended else nullcontext():  # it may have ended before the first trial
            print_results(again, places, kept)
    if ended is not None:
        raise ended


@results_app.command()
def report(
    names: Annotated[
        list[str],
        typer.Argument(help="Names of launched studies; several go into one page.", autocompletion=complete_launched),
    ],
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the report; default: reports/ in the home folder.")] = None,
    gate: Annotated[
        bool,
        typer.Option("--gate", help="Compare all results on FSDnoisy18k with the published ones; status 1 where one lies outside."),
    ] = False,
) -> None:
    """Write one offline HTML page, every table as files, and the index of all reports.

    Example: acl-study report table1-supervised table2-ssl
    """
    from analysis.records.sql import check_recorded
    from study.tracking.uri import existing_store

    places = Home(home)
    kept = existing_store(places, store, names)
    check_recorded(kept, names)

    from analysis.gate import gate_lines, gate_table
    from analysis.report.index import write_index
    from analysis.report.page import write_report
    from study.tracking.reports import log_report

    page = write_report(kept, names, out or places.report(names))
    print(f"report: {page}")
    if out is None:
        print(f"all reports: {write_index(places.reports)}")
    try:
        log_report(kept, names, page.parent)
    except (RecordError, StoreUnavailableError) as error:
        print(f"the report is not logged in MLflow: {error}")
    if gate:
        table = gate_table(kept, names)
        print("\n".join(gate_lines(table)))
        if not table["inside"].all():
            raise typer.Exit(1)


@results_app.command()
def figures(
    names: Annotated[
        list[str],
        typer.Argument(help="Names of launched studies; several are drawn together.", autocompletion=complete_launched),
    ],
    formats: Annotated[str, typer.Option("--format", metavar="FORMAT[,…]", help="png, svg, pdf, or several of them.")] = "png",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the files; default: figures/ in that of the report.")
    ] = None,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write every figure of the report as files, for a paper or slides; needs kaleido (the extra `export`) and Chrome or Chromium.

    Example: acl-study figures table1-supervised table2-ssl --format pdf,png
    """
    from analysis.records.sql import check_recorded
    from study.tracking.uri import existing_store

    places = Home(home)
    kept = existing_store(places, store, names)
    check_recorded(kept, names)

    from analysis.report.files import write_figures
    from study.tracking.reports import log_figures

    folder = out or places.report(names) / "figures"
    kinds = list(dict.fromkeys(kind.strip() for kind in formats.split(",")))
    files = write_figures(kept, names, folder, kinds)
    print(f"figures: {len(files)} files in {folder}")
    try:
        log_figures(kept, names, files)
    except (RecordError, StoreUnavailableError) as error:
        print(f"the figures are not logged in MLflow: {error}")
