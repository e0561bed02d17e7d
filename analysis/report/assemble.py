"""From the records of studies to the sections of their report, without those that no trial can fill."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.records.provenance import load_launched, load_provenance
from analysis.records.runs import confirming_studies, load_history, load_predictions, load_studies, load_trials
from analysis.report.answer import Outcome, answer, outcomes
from analysis.report.questions import Part, heading_of, paper_part, parts_of
from analysis.report.shown import shown_chapters, shows_published, unfillable_sections
from analysis.section import ONLY, Chapter, Heading, Section
from analysis.sections.alpha import alpha_section
from analysis.sections.checks import checks_sections
from analysis.sections.claims import ON_TEST_TITLE, assumed_section, on_test_section, published_section
from analysis.sections.comparisons import comparison_section, comparison_table, comparisons_of, not_in
from analysis.sections.confirmations import confirmation_sections, confirmation_sentence, confirmation_table, confirmed_pairs
from analysis.sections.control import control_section
from analysis.sections.cost import cost_section, cost_table
from analysis.sections.curves import CURVE_METRICS, curves_section
from analysis.sections.dimensions import dimension_sections
from analysis.sections.early_stopping import metrics_by_epoch, training_sections
from analysis.sections.evaluations import FINE_TUNINGS, evaluation_sections, fine_tuned_trials
from analysis.sections.forest import forest_sections, forest_table
from analysis.sections.label_noise import noise_sections
from analysis.sections.margin import margin_section, margin_table
from analysis.sections.paper_figures import paper_figure_sections
from analysis.sections.paper_tables import paper_table_sections, table1, table2
from analysis.sections.parallel import parallel_section
from analysis.sections.records import checklist, record_sections
from analysis.sections.search import search_sections
from analysis.sections.trials import counts_section, landscape_section
from analysis.sections.winner_details import pair_sections, winner_sections
from analysis.settings import PooledResults, gap_notes, pooled_folds, without_margin_sweeps
from analysis.stats.clips import sample_notes
from study import names


@dataclass(frozen=True)
class Reading:
    """What the records of some studies hold.

    Attributes:
        launches: of `analysis.records.runs.load_studies`.
        launched: of `analysis.records.provenance.load_launched`.
        trials: of `analysis.records.runs.load_trials`.
        answer: to the question, in a few sentences.
        outcomes: a sentence for each comparison.
        chapters: of the report, in its order.
        comparisons: of `analysis.sections.comparisons.comparison_table`, those that no table of the paper has.
        notes: one on each group of trials that was left out of comparisons, and on what the test clips are a sample of.
    """

    launches: pd.DataFrame
    launched: pd.DataFrame
    trials: pd.DataFrame
    answer: str
    outcomes: list[Outcome]
    chapters: list[Chapter]
    comparisons: pd.DataFrame
    notes: list[str]

    @property
    def sections(self) -> list[Section]:
        """Of all chapters."""
        return [section for chapter in self.chapters for section in chapter.sections]


def read_sections(store_uri: str, studies: Sequence[str]) -> Reading:
    """Read the records of the studies and make the sections of their report.

    Args:
        store_uri: MLflow tracking store, e.g. `sqlite:////home/me/acl/mlflow.db`.
        studies: names under which the studies were launched.

    Raises:
        AnalysisError: there is no store, no study of that name, or it has no trials.
    """
    records = _load(store_uri, studies)
    pooled = pooled_folds(records.trials[~records.lost], records.predictions)
    parts = parts_of(records.files, pooled)
    notes = [
        *pooled.notes,
        *(note for part in parts for note in part.notes),
        *_lost_note(records),
        *sample_notes(pooled.predictions),
        *(note for part in parts for note in gap_notes(part.settings)),
    ]
    compared = compared_tables(parts, pooled.predictions)
    chapters = _chapters(store_uri, records, pooled, parts, compared)
    chapters = shown_chapters(chapters, records.launches, unfillable_sections(records.launched, records.trials))
    tables = tables_of(section for chapter in chapters for section in chapter.sections)
    extra = pd.concat([table for _, table in compared], ignore_index=True) if compared else pd.DataFrame()
    incomplete = extra[extra["verdict"] == ""] if len(extra) else extra
    forest = forest_table(tables["table1"], tables["table2"], tables["margin"], extra, records.confirmed)
    short = answer(forest, incomplete, records.trials)
    short = _with_confirmation(short, records.confirmed, records.launches)
    found = outcomes(forest, incomplete, tables["null"])
    forests = forest_sections(forest, has_published=shows_published(records.launches))
    first = Chapter("answer", "Answer", (*forests, *confirmation_sections(records.confirmed)))
    return Reading(records.launches, records.launched, records.trials, short, found, [first, *chapters], extra, notes)


def _with_confirmation(short: str, found: pd.DataFrame, launches: pd.DataFrame) -> str:
    """The answer, after what fresh seeds say; a page of confirmations alone says nothing else."""
    confirmed = confirmation_sentence(found)
    if not confirmed:
        return short
    if launches["confirms"].ne("").all():
        return confirmed
    return f"{confirmed} Before that: {short[0].lower()}{short[1:]}"


def compared_tables(parts: Sequence[Part], predictions: pd.DataFrame) -> list[tuple[Part, pd.DataFrame]]:
    """The comparisons of each part; of the paper's part those that no other section has.

    Labels say what tells them from others on the page: of the paper's part which settings are selected, as its own tables fix the
    margin or the temperature, else the study, where there are several. Runs on fresh seeds are compared seed by seed in
    “Confirmation on fresh seeds”, and not here again.
    """
    found = []
    for part in parts:
        table = comparison_table(part.settings, predictions, part.question)
        table = table.iloc[:0] if part.confirms and not part.is_of_paper else table
        if part.is_of_paper:
            own = without_margin_sweeps(part.settings)
            table = not_in(table, table1(own, predictions), table2(own, predictions), margin_table(part.settings, predictions))
            table = table[table["verdict"].ne("")] if len(table) else table
        if len(table) and part.is_of_paper:
            table = table.assign(label=table["label"] + ", any " + table["varied"])
        elif len(table) and len({study for each in parts for study in each.studies}) > 1:
            table = table.assign(label=table["label"] + f", study {', '.join(part.studies)}")
        found.append((part, table.assign(with_margin=part.is_of_paper, names_baseline=bool(part.question.baseline))))
    return found


@dataclass(frozen=True)
class _Records:
    """What is read of the studies; `lost` marks finished trials without predictions, `confirmed` is of `confirmation_table`."""

    store_uri: str
    launches: pd.DataFrame
    launched: pd.DataFrame
    trials: pd.DataFrame
    provenance: pd.DataFrame
    predictions: pd.DataFrame
    history: pd.DataFrame
    lost: pd.Series
    confirmed: pd.DataFrame

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Content of each study's file, by its name."""
        return dict(self.launches.merge(self.launched, on="run_id")[["study", "file"]].itertuples(index=False))


def _load(store_uri: str, studies: Sequence[str]) -> _Records:
    launches = load_studies(store_uri, studies)
    launched = load_launched(store_uri, launches["run_id"])
    trials = load_trials(store_uri, studies)
    provenance = load_provenance(store_uri, launches["run_id"])
    finished = trials.loc[trials["outcome"] == names.FINISHED, "run_id"]
    predictions = load_predictions(store_uri, finished, may_lack=True)
    lost = trials["run_id"].isin(set(finished) - set(predictions["run_id"]))
    shown = {metric for metrics in CURVE_METRICS.values() for metric in metrics}
    history = load_history(store_uri, trials["run_id"], sorted({*shown, *metrics_by_epoch(trials), names.EPOCH_SECONDS}))
    confirmed = _confirmed(store_uri, studies)
    return _Records(store_uri, launches, launched, trials, provenance, predictions, history, lost, confirmed)


def _confirmed(store_uri: str, studies: Sequence[str]) -> pd.DataFrame:
    """What fresh seeds say of the winners of these studies, and of those that they confirm themselves."""
    pairs = {}
    for study, of in confirming_studies(store_uri, studies).items():
        launched = load_launched(store_uri, load_studies(store_uri, [study])["run_id"])
        try:
            trials = load_trials(store_uri, [study])
        except AnalysisError:  # it has none yet
            continue
        finished = trials.loc[trials["outcome"] == names.FINISHED, "run_id"]
        predictions = load_predictions(store_uri, finished, may_lack=True)
        pairs[of] = confirmed_pairs(trials, predictions, launched["sweeps"].iloc[-1], launched["file"].iloc[-1].get("equivalence"))
    return confirmation_table(pairs)


def _lost_note(records: _Records) -> list[str]:
    if not records.lost.any():
        return []
    where = ", ".join(sorted(records.trials.loc[records.lost, "study"].unique()))
    return [
        f"{records.lost.sum()} finished trials ({where}) have lost {names.PREDICTIONS_FILE}: they are left out of comparisons "
        f"over clips, and only “{ON_TEST_TITLE}” has them, by their accuracies."
    ]


def _chapters(
    store_uri: str,
    records: _Records,
    pooled: PooledResults,
    parts: Sequence[Part],
    compared: Sequence[tuple[Part, pd.DataFrame]],
) -> list[Chapter]:
    """All chapters but the answer, with empty sections too.

    Args:
        store_uri: of the records.
        records: of the studies.
        pooled: their trials that have predictions.
        parts: of these trials, by question.
        compared: of `compared_tables`.
    """
    trials, history = records.trials, records.history
    seconds = history.loc[history["metric"] == names.EPOCH_SECONDS, "value"]
    facts = checklist(records.launches, records.launched, trials, records.provenance, records.predictions, seconds)
    paper = paper_part(parts)
    maps, importance = search_sections(pd.DataFrame() if paper is None else paper.settings, trials)
    landscape = landscape_section(trials, records.predictions, has_map=paper is not None)
    failed, *of_records = record_sections(store_uri, records.launches, records.launched, trials, records.provenance, facts)
    first = maps if len(maps.frame) else landscape
    others = [section for section in (maps, landscape) if section is not first]
    return [
        _results(records, pooled, parts, compared),
        Chapter("searching", "Search", (first,), (*others, *parallel_section(trials), importance)),
        Chapter(
            "training",
            "Training",
            (curves_section(trials, history, _baselines(parts, trials)),),
            (*training_sections(history, trials), counts_section(trials), failed),
        ),
        Chapter("reproducibility", "Reproducibility", (of_records[0],), tuple(of_records[1:])),
    ]


def _results(
    records: _Records, pooled: PooledResults, parts: Sequence[Part], compared: Sequence[tuple[Part, pd.DataFrame]]
) -> Chapter:
    """Tables and figures of each question."""
    accuracies = records.trials.set_index("run_id").reindex(columns=[names.TEST_ACCURACY])[names.TEST_ACCURACY]
    with_lost = parts_of(records.files, pooled_folds(records.trials, records.predictions)) if records.lost.any() else parts
    shown: list[Section] = []
    details: list[Section] = []
    for place, (part, table) in enumerate(compared):
        every = next((each.settings for each in with_lost if each.places == part.places), part.settings)
        of = ONLY if part.is_of_paper else heading_of(part, place, len(compared))
        on_test = on_test_section(every, pooled.predictions, accuracies, part.question, of)
        checks = checks_sections(part.settings, part.question, pooled.trials, pooled.predictions, records.history, of)
        own = (
            _paper_sections(records, pooled, part, table, on_test)
            if part.is_of_paper
            else _other_sections(
                part, table, on_test, _cost_sections(part, records, pooled.predictions, of), pooled.predictions, of
            )
        )
        shown += own[0]
        details += [*checks, *own[1]]
    return Chapter("results", "Tables and figures", tuple(shown), tuple(details))


def _baselines(parts: Sequence[Part], trials: pd.DataFrame) -> set[str] | None:
    """Runs of the baselines; None where alpha tells them."""
    if all(part.is_of_paper for part in parts):
        return None
    return {
        row["run_id"] for part in parts for row in trials[part.has(trials)].to_dict("records") if part.question.is_baseline(row)
    }


def _paper_sections(
    records: _Records, pooled: PooledResults, part: Part, comparisons: pd.DataFrame, on_test: Section
) -> tuple[list[Section], list[Section]]:
    """Tables and figures of the paper, and what else there is about its question; those that are shown, and details."""
    settings, tested = part.settings, pooled.predictions
    here = records.trials[~records.lost]
    # The margins of a sweep of the margin are no candidates in the paper's tables, but for the published one; they have a section.
    own = without_margin_sweeps(settings)
    shown = [
        *margin_section(settings, tested),
        *control_section(settings, part.trials, tested),
        *noise_sections(part.trials, tested),
        *paper_table_sections(own, tested, len(settings) - len(own)),
        *paper_figure_sections(own, tested),
    ]
    details = [
        *([comparison_section(comparisons, part.question)] if len(comparisons) else []),
        alpha_section(settings),
        *winner_sections(settings, tested),
        *evaluation_sections(settings, part.trials, tested, _of_fine_tuning(records, here)),
        on_test,
        published_section(),
        assumed_section(),
        *_cost_sections(part, records, tested),
    ]
    return shown, details


def _of_fine_tuning(records: _Records, trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Predictions of the fine-tuned encoders, by evaluation."""
    fine_tuned = fine_tuned_trials(trials)["run_id"]
    return {
        evaluation: pooled_folds(trials, load_predictions(records.store_uri, fine_tuned, evaluation)).predictions
        for evaluation in FINE_TUNINGS
    }


def _cost_sections(part: Part, records: _Records, predictions: pd.DataFrame, of: Heading = ONLY) -> list[Section]:
    """What the trials of a question cost: those of each fold, too, and those that have lost their predictions."""
    trials = records.trials[part.has(records.trials)]
    cost = cost_table(part.settings, trials, records.history, predictions, part.question)
    return [cost_section(cost, of)] if len(cost) else []


def _other_sections(
    part: Part, comparisons: pd.DataFrame, on_test: Section, cost: list[Section], predictions: pd.DataFrame, of: Heading
) -> tuple[list[Section], list[Section]]:
    """What there is about a question that is not the paper's: what is shown, and details."""
    first = next((each for each in comparisons_of(part.settings, part.question) if each.pair.is_complete), None)
    classes = [] if first is None else pair_sections(first, predictions, of)
    shown = [
        *([] if part.confirms else [comparison_section(comparisons, part.question, of)]),
        *dimension_sections(part.settings, part.question, of),
    ]
    return shown, [*classes, on_test, *cost]


def tables_of(sections: Iterable[Section]) -> Mapping[str, pd.DataFrame]:
    """The sections' tables by their anchors; a section that is not there has an empty one."""
    return defaultdict(pd.DataFrame, {section.anchor: section.frame for section in sections})
