"""What validation has picked, on the screen: a table at the end of a launch."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.page_tables import percent
from study import record_names as names
from study.objectives import value_text
from study.results import Figure, StudyResults
from study.seeds import setting_text
from study.selection import Candidate, Choice
from study.spec import Study, Sweep

OUTCOMES = (names.FINISHED, names.STOPPED, names.FAILED)


def print_summary(study: Study, store_uri: str) -> None:
    """Trials by outcome and the best finished setting by validation, one line per sweep.

    A sweep over subsets gets a line for each: their validation clips differ, so their figures do not compare. One for several
    objectives gets a line for each setting of its Pareto front.
    """
    results = StudyResults(study, store_uri)
    title = "best by validation" if study.confirms is None else f"winners and baselines of {study.confirms} again, on fresh seeds"
    table = Table(title=f"{study.name}: {title}", title_justify="left")
    for heading in ("sweep", "trials", *OUTCOMES, "objective", "best", "setting"):
        table.add_column(heading, overflow="fold")
    for sweep in study.sweeps:
        outcomes = list(results.trials.loc[results.trials["sweep"] == sweep.name, "outcome"])
        counts = [str(outcomes.count(outcome)) for outcome in OUTCOMES]
        head = [
            sweep.name,
            f"{sum(outcomes.count(outcome) for outcome in OUTCOMES)}/{sweep.runs}",
            *counts,
            ", ".join(sweep.objectives),
        ]
        winners = [winner for choice in results.choices[sweep.name] for winner in choice.winners]
        texts = [(objectives_text(results, sweep, winner), candidate_text(sweep, winner)) for winner in winners]
        for best, setting in texts or [("–", "–")]:
            table.add_row(*map(Text, (*head, best, setting)))
            head = [""] * len(head)
    lacking = [line for sweep in study.sweeps for choice in results.choices[sweep.name] for line in lacking_lines(sweep, choice)]
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)  # a log file has no width of its own
    for line in lacking:
        print(line)


def objectives_text(results: StudyResults, sweep: Sweep, candidate: Candidate) -> str:
    """The objectives of a candidate with their intervals."""
    return ", ".join(figure_text(results.figure(candidate, objective), objective) for objective in sweep.objectives)


def figure_text(figure: Figure, metric: str) -> str:
    """Accuracies in %, with their 95 % intervals where they are shares of clips."""
    if figure.interval is None:
        return value_text(metric, figure.value)
    low, high = figure.interval
    return f"{percent(figure.value)} [{percent(low)}, {percent(high)}] %"


def lacking_lines(sweep: Sweep, choice: Choice) -> Iterator[str]:
    """Which settings are no candidates for lack of seeds."""
    where = sweep.name if choice.subset is None else f"{sweep.name}, {choice.subset}"
    for setting in choice.lacking:
        seeds = "1 seed" if len(setting.rows) == 1 else f"{len(setting.rows)} seeds"
        text = setting_text(setting.setting)
        yield f"{where}: {text} is no candidate: it has finished with {seeds}, others with {choice.seeds}"


def candidate_text(sweep: Sweep, candidate: Candidate) -> str:
    """What distinguishes a candidate from the others of its sweep."""
    seeds = f"mean of {len(candidate.rows)} seeds" if len(sweep.seeds) > 1 else ""
    return ", ".join(filter(None, (setting_text(candidate.setting), seeds))) or "one setting"
