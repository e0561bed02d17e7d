"""Commands that answer questions about a launched study: how far it is, what it has found, whether that holds."""

from typing import Annotated

import typer

from study.home import DEFAULT_HOME, Home
from study.options import AddressOption, CpusOption, GpusOption, HomeOption, StoreOption, given_resources

results_app = typer.Typer()


@results_app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="Name of a launched study; none lists all.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every few seconds, until Ctrl-C.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Show how far studies are, while they run or afterwards.

    Example: acl-study status table1-supervised --watch
    """
    from study.status_view import show_status

    show_status(Home(home), name, watch=watch)


@results_app.command()
def best(
    name: Annotated[str, typer.Argument(help="Name of a launched study.")],
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print what validation has picked, and how it compares with the baseline on the test clips.

    Example: acl-study best table1-supervised
    """
    from study.launched import load_launched

    places = Home(home)
    study = load_launched(places, name)  # an unknown name is refused before the heavy imports

    from study.best import print_best
    from study.commands import existing_store

    print_best(study, places, existing_store(places, store, [name]))


@results_app.command()
def compare(
    first: Annotated[str, typer.Argument(help="Name of a launched study, or a trial: STUDY/TRIAL or its run id.")],
    second: Annotated[str, typer.Argument(help="The same, to compare it with.")],
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print what differs between two studies or two trials: settings, and test accuracies clip by clip.

    Example: acl-study compare table2-ssl table2-paper
    """
    from analysis.comparing import compare as compare_sides
    from analysis.comparing import compared_lines
    from study.commands import existing_store

    places = Home(home)
    kept = existing_store(places, store, [first.partition("/")[0]])
    print("\n".join(compared_lines(compare_sides(kept, first, second))))


@results_app.command()
def confirm(
    name: Annotated[str, typer.Argument(help="Name of a study that has ended.")],
    seeds: Annotated[int | None, typer.Option("--seeds", min=2, help="How many fresh seeds; default: 5.")] = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    address: AddressOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run the winners of a study and their baselines again, on seeds that it did not use, and say what holds.

    Example: acl-study confirm table1-supervised --seeds 5
    """
    from study.launched import load_launched

    places = Home(home)
    study = load_launched(places, name)  # an unknown name is refused before the heavy imports

    from study.commands import existing_store, launch_study
    from study.confirm import confirmation_study

    kept = existing_store(places, None, [name])
    again = confirmation_study(study, places, kept, seeds, given_resources(cpus, gpus))
    launch_study(again, places, address, None if kept == places.store_uri else kept)
