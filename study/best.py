"""What `acl-study best` prints: each winner by validation, how it compares, and what to do next."""

from collections.abc import Iterator

from study import record_names as names
from study.confirm import confirmation_lines, confirming, why_not
from study.home import Home, invocation
from study.launched import launch_of
from study.results import StudyResults
from study.seeds import setting_text
from study.selection import Candidate, Choice
from study.spec import Study, Sweep
from study.summary import figure_text, lacking_lines, objectives_text


def print_best(study: Study, home: Home, store_uri: str) -> None:
    """Print the winners of a study; of a study that confirms another, what its runs say.

    Raises:
        AnalysisError: it has no trials yet.
    """
    if study.confirms is not None:
        print("\n".join(confirmation_lines(study, store_uri)))
        return
    results = StudyResults(study, store_uri)
    for sweep in study.sweeps:
        print("\n".join(_sweep_lines(results, sweep)))
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
        yield "schedule    population-based training changed the setting while it ran; its records have the last one"
    yield f"verdict     {results.verdict(sweep, choice)}"


def _candidate_lines(results: StudyResults, candidate: Candidate) -> Iterator[str]:
    seeds = ", ".join(f"{row['seed']:.0f}" for row in candidate.rows)
    tested = figure_text(results.figure(candidate, names.TEST_ACCURACY), names.TEST_ACCURACY)
    yield f"test        {tested} (not used for the selection)"
    yield f"setting     {setting_text(candidate.setting) or 'the only one'}"
    yield f"seed{'s' if len(candidate.rows) > 1 else ' '}       {seeds}"
    yield f"run{'s' if len(candidate.rows) > 1 else ' '}        {', '.join(row['run_id'] for row in candidate.rows)}"


def _next_lines(results: StudyResults, home: Home) -> Iterator[str]:
    study, left = results.study, results.left
    if left:
        running = launch_of(home, study.name) is not None
        then = "it is running" if running else f"continue with {invocation(f'resume {study.name}', home)}"
        yield f"{left} trials are left, the winners may change; {then}"
    other = confirming(home, study.name)
    if other is not None:
        yield f"what fresh seeds say:        {invocation(f'best {other.name}', home)}"
    found = [choice.winners[0].rows[0]["trial_id"] for sweep in study.sweeps for choice in results.choices[sweep.name]]
    if found:
        yield f"take a model along with:     {invocation(f'export {study.name}/{found[0]} DIR', home)}"
    can_confirm = any(why_not(sweep, choice) is None for sweep in study.sweeps for choice in results.choices[sweep.name])
    if other is None and not left and can_confirm:
        yield f"run winners on fresh seeds:  {invocation(f'confirm {study.name}', home)}"
