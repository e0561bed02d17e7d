"""Winners on the screen: the table at the end of a launch, and what `acl-study best` prints."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from analysis.formats import percent
from study import names
from study.console import print_lines, table_console
from study.results.confirm import confirmation_lines, confirming, why_not
from study.results.selection import Candidate, Choice
from study.results.study_results import Figure, StudyResults
from study.spec.objectives import value_text
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.completion import study_left
from study.state.home import Home, invocation
from study.state.seeds import setting_text
from study.state.study_folder import running_process


def print_best(study: Study, home: Home, store_uri: str) -> None:
    """Print the winners of a study; of a study that confirms another, what its runs say.

    Raises:
        AnalysisError: it has no trials yet.
    """
    if study.confirms is not None:
        print_lines(confirmation_lines(study, store_uri))
        return
    results = StudyResults(study, store_uri)
    for sweep in study.sweeps:
        print_lines(_sweep_lines(results, sweep))
    print("\n".join(_next_lines(results, home)))


def _sweep_lines(results: StudyResults, sweep: Sweep) -> Iterator[str]:
    if not results.choices[sweep.name]:
        yield f"{sweep.name}: no finished trial yet\n"
    for choice in results.choices[sweep.name]:
        where = sweep.name if choice.subset is None else f"{sweep.name}, {choice.subset}"
        number = f"{len(choice.candidates)} finished setting" + ("s" if len(choice.candidates) > 1 else "")
        if len(sweep.objectives) > 1:
            yield f"{where}: {len(choice.winners)} of {number} on the Pareto front of {', '.join(sweep.objectives)}"
            for winner in choice.winners:
                yield f"  {objectives_text(results, sweep, winner)}"
                yield from (f"    {line}" for line in _candidate_lines(results, winner))
        else:
            yield f"{where}: best of {number} by {sweep.objectives[0]}"
            yield from (f"  {line}" for line in _winner_lines(results, sweep, choice))
        yield from lacking_lines(sweep, choice)
        yield ""


def _winner_lines(results: StudyResults, sweep: Sweep, choice: Choice) -> Iterator[str]:
    winner = choice.winners[0]
    yield f"validation  {objectives_text(results, sweep, winner)}"
    yield from _candidate_lines(results, winner)
    if sweep.scheduler.name == "pbt":
        yield "schedule    population-based training changed the setting while it ran; its records have the last one, and a report"
        yield "            leaves such trials out of its comparisons"
    yield f"verdict     {results.verdict(sweep, choice)}"


def _candidate_lines(results: StudyResults, candidate: Candidate) -> Iterator[str]:
    seeds = ", ".join(f"{row['seed']:.0f}" for row in candidate.rows)
    tested = figure_text(results.figure(candidate, names.TEST_ACCURACY), names.TEST_ACCURACY)
    yield f"test        {tested} (not used for the selection)"
    yield f"setting     {setting_text(candidate.setting) or 'the only one'}"
    yield f"seed{'s' if len(candidate.rows) > 1 else ' '}       {seeds}"
    yield f"run{'s' if len(candidate.rows) > 1 else ' '}        {', '.join(row['run_id'] for row in candidate.rows)}"


def _next_lines(results: StudyResults, home: Home) -> Iterator[str]:
    study = results.study
    left = sum(study_left(study, home).values())
    if left:
        running = running_process(home, study.name) is not None
        then = "it is running" if running else f"continue with {invocation(f'resume {study.name}', home)}"
        yield f"{left} trials are left, the winners may change; {then}"
    other = confirming(home, study.name)
    if other is not None:
        yield f"what fresh seeds say:        {invocation(f'best {other.name}', home)}"
    found = [choice.winners[0].rows[0]["trial_id"] for sweep in study.sweeps for choice in results.choices[sweep.name]]
    if found:
        yield f"take a model along with:     {invocation(f'export {study.name}/{found[0]} DIR', home)}"
    can_confirm = any(
        why_not(sweep, choice, results.question(sweep)) is None for sweep in study.sweeps for choice in results.choices[sweep.name]
    )
    if other is None and not left and can_confirm:
        yield f"run winners on fresh seeds:  {invocation(f'confirm {study.name}', home)}"


def print_summary(study: Study, store_uri: str) -> None:
    """Trials by outcome, a row for each sweep; below them the best finished setting by validation.

    A sweep over subsets gets a line for each: their validation clips differ, so their figures do not compare. One for several
    objectives gets a line for each setting of its Pareto front.
    """
    results = StudyResults(study, store_uri)
    table = Table("sweep", "trials", *names.OUTCOMES, title=study.name, title_justify="left")
    table.columns[0].overflow = "fold"
    for sweep in study.sweeps:
        outcomes = list(results.trials.loc[results.trials["sweep"] == sweep.name, "outcome"])
        counts = [outcomes.count(outcome) for outcome in names.OUTCOMES]
        table.add_row(Text(sweep.name), f"{sum(counts)}/{sweep.runs}", *map(str, counts))
    table_console().print(table)
    print("best by validation" if study.confirms is None else f"winners and baselines of {study.confirms} again, on fresh seeds")
    width = max(len(sweep.name) for sweep in study.sweeps)
    for sweep in study.sweeps:
        winners = [winner for choice in results.choices[sweep.name] for winner in choice.winners]
        found = [f"{_objectives_named(results, sweep, winner)}, {candidate_text(sweep, winner)}" for winner in winners]
        print_lines(f"  {sweep.name:{width}}  {text}" for text in found or ["no finished trial yet"])
    print_lines(line for sweep in study.sweeps for choice in results.choices[sweep.name] for line in lacking_lines(sweep, choice))


def _objectives_named(results: StudyResults, sweep: Sweep, candidate: Candidate) -> str:
    """The objectives of a candidate by their names, with intervals."""
    figures = ((objective, figure_text(results.figure(candidate, objective), objective)) for objective in sweep.objectives)
    return ", ".join(f"{objective} {text}" for objective, text in figures)


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
