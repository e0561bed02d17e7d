"""Claims about gains: every setting against its baseline on the test clips, and the paper's own gains re-analysed.

Per-clip results of the paper are not published, so its comparisons are unpaired. Its tables show the best setting on test, which
Holm's method corrects for. Nothing can be said about its seeds: each setting was run once.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from analysis import published
from analysis.formats import capitalised, count, counted, p_value, percent, place, plain, points
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.question import ALPHA, MARGIN, PAPER, Question, words
from analysis.records.runs import SUBSETS
from analysis.section import ONLY, PANEL_KEYS, Column, Heading, Section, difference, finding_text, number_column
from analysis.sections.comparisons import Comparison, comparisons_of
from analysis.sections.forest import NOT_SIGNIFICANT, SIGNIFICANT, forest_figure
from analysis.sections.paper_tables import NAN
from analysis.settings import NO_PAIR, look_at, pick
from analysis.stats.claims import PLANNED, Look
from analysis.stats.clips import correct_of_settings
from analysis.stats.comparisons import SettingsComparison, UnpairedComparison, compare_settings, compare_unpaired, largest_gain
from analysis.stats.intervals import NOT_DISTINGUISHABLE, PairedComparison, compare_paired, finding, holm
from analysis.stats.power import DISCORDANCE, MIN_SEEDS, critical_values, smallest_difference

_Comparison = SettingsComparison | PairedComparison | UnpairedComparison


def on_test_table(
    settings: pd.DataFrame, predictions: pd.DataFrame, accuracies: pd.Series, question: Question = PAPER
) -> pd.DataFrame:
    """A row for each setting that has a baseline of its comparison (in the paper's question of its temperature, too); the best on
    test first.

    Looking at all of them on test and naming the best is a selection on test: `p_corrected` accounts for the number of settings of
    the group. Where a setting and the baseline have three seeds or more it is about settings (`compare_settings`,
    with `low` and `high` that hold for all at once), else about these trained models (`largest_gain`; `low` and `high` are those of
    each pair alone). Column `claim` says which, `finding` is that of the corrected p-value. Where runs of a group have lost their
    predictions (`paired` is False), accuracies are compared (`compare_unpaired`) and Holm's method corrects the p-values.

    Args:
        settings: of `analysis.settings.comparable_settings`, with the trials whose predictions are lost.
        predictions: of `analysis.records.runs.load_predictions`.
        accuracies: on test, by run_id.
        question: of the study.
    """
    parts = []
    known = set(predictions["run_id"].unique())
    for label, setting_text, group in _groups(settings, question):
        pair, others = pick(group), group[~group["baseline"].astype(bool)]
        baseline = pair.baseline
        if baseline is None or others.empty:
            continue
        rivals = pair.baselines.drop(index=baseline.name)["run_ids"]
        run_ids = [baseline["run_ids"], *others["run_ids"]]
        # A setting with too few seeds is compared as a model, and leaves the others what they are.
        of_settings = min(len(own) for own in [run_ids[0], *rivals]) >= MIN_SEEDS <= max(len(own) for own in run_ids[1:])
        paired = known.issuperset(run_id for own in [*run_ids, *rivals] for run_id in own)
        compared = (
            _paired(run_ids, [*rivals], predictions, of_settings=of_settings)
            if paired
            else _unpaired(run_ids, [*rivals], accuracies, int(baseline["test_clips"]))
        )
        about: dict[str, Any] = {"paired": paired, "label": label}
        texts = [setting_text(setting) for _, setting in others.iterrows()]
        claims = ["settings" if of_settings and len(own) >= MIN_SEEDS else "models" for own in others["run_ids"]]
        look = look_at(pair.baselines, others)
        parts += _rows(baseline, others.assign(setting=texts, claim=claims), compared, about, look)
    return pd.DataFrame(parts)


def _groups(settings: pd.DataFrame, question: Question) -> Iterator[tuple[str, Callable[[pd.Series], str], pd.DataFrame]]:
    """What the settings of a group have in common, what tells them apart in words, and the settings."""
    if not question.is_of_paper:
        for each in comparisons_of(settings, question):
            yield each.label, each.setting_text, each.settings
        return
    for mode in (SUPERVISED, SELF_SUPERVISED):
        for subset in SUBSETS:
            own = settings[(settings["mode"] == mode) & (settings["subset"] == subset)] if len(settings) else settings
            for _, group in own.groupby("temperature", dropna=False):
                varied = [ALPHA, MARGIN] if group["margin"].nunique() > 1 else [ALPHA]
                text = Comparison(mode, "", {}, varied, group, NO_PAIR).setting_text
                yield place(group.iloc[0].to_dict()), text, group


def _paired(
    run_ids: list[tuple[str, ...]], rivals: list[tuple[str, ...]], predictions: pd.DataFrame, *, of_settings: bool
) -> list[tuple[SettingsComparison | PairedComparison, float]]:
    """Each setting against the baseline, the first, and the corrected p-value; `rivals` are the other baselines."""
    first, *sides = correct_of_settings(predictions, [*run_ids, *rivals])
    sides, others = sides[: len(run_ids) - 1], sides[len(run_ids) - 1 :]
    pairs = (compare_paired(first, side) for side in sides)
    models: list[tuple[SettingsComparison | PairedComparison, float]] = [*zip(pairs, largest_gain(first, sides), strict=True)]
    if not of_settings:
        return models
    settings = [(each, each.p_value) for each in compare_settings(first, sides, others)]
    return [settings[at] if side.shape[1] >= MIN_SEEDS else models[at] for at, side in enumerate(sides)]


def _unpaired(
    run_ids: list[tuple[str, ...]], rivals: list[tuple[str, ...]], accuracies: pd.Series, clips: int
) -> list[tuple[UnpairedComparison, float]]:
    """The same without predictions; Holm's method corrects for all pairs of a baseline and a setting."""
    first, *sides = (accuracies.loc[list(own)].to_list() for own in run_ids)
    others = [accuracies.loc[list(own)].to_list() for own in rivals]
    compared, *of_rivals = ([compare_unpaired(baseline, side, clips) for side in sides] for baseline in (first, *others))
    corrected = holm(each.p_value for pairs in (compared, *of_rivals) for each in pairs)
    return list(zip(compared, corrected[: len(compared)], strict=True))


def _rows(
    baseline: pd.Series, others: pd.DataFrame, compared: Sequence[tuple[_Comparison, float]], about: dict[str, Any], look: Look
) -> list[dict[str, Any]]:
    rows = [
        {
            **{name: setting[name] for name in (*PANEL_KEYS, "alpha", "margin", "setting", "seeds", "accuracy")},
            "baseline_accuracy": baseline["accuracy"],
            "difference": each.difference,
            "difference_low": each.low,
            "difference_high": each.high,
            "settings_tried": len(others),
            "p_corrected": p_value,
            **about,
            "claim": setting["claim"],
            "finding": finding(each.difference, p_value, (look if setting["claim"] == "settings" else PLANNED).level),
            "val_accuracy": setting.get("val_accuracy", NAN),
        }
        for setting, (each, p_value) in zip(others.to_dict("records"), compared, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["difference"])


@cache
def published_table() -> pd.DataFrame:
    """A row for each published gain: Table 1 by subset, then the self-supervised results by temperature.

    Columns: comparison, alpha (the published best), settings_tried, baseline, acl, difference with low and high (95 %, Newcombe's
    hybrid score interval for independent shares), p_value (score test), p_corrected (Holm over the settings tried), finding (of the
    corrected one). Self-supervised accuracies weigh clips by patches; they are taken as shares of as many clips, which is generous:
    unequal weights make them less certain.
    """
    return pd.DataFrame([_row(*gain) for gain in _gains()])


_ASSUMED_DISCORDANCE = (NAN, 0.25, 0.15, 0.10)  # NaN: two models err independently
_ASSUMED_SEED_SD = (0.0, 0.01, 0.02)


@cache
def assumed_table() -> pd.DataFrame:
    """How many published gains are significant under what nobody outside can know: columns discordance, and one for each seed SD.

    A gain d of the best of k settings is tested by T = d / √((p − d²)/n + 2σ²) against the 95 % quantile of the largest of k such
    statistics, with the discordance p (empty: p − d² is that of independent errors, a(1 − a) of both sides) and the standard
    deviation σ over seeds.
    """
    gains, clips = published_table(), published.test_clips()
    difference = gains["difference"]
    independent = gains["baseline"] * (1 - gains["baseline"]) + gains["acl"] * (1 - gains["acl"])
    critical = np.array([critical_values(int(tried), np.array([1e6]))[0] for tried in gains["settings_tried"]])
    rows = []
    for discordance in _ASSUMED_DISCORDANCE:
        of_clips = independent if pd.isna(discordance) else np.maximum(discordance, difference.abs()) - difference**2
        statistics = {seed_sd: difference / np.sqrt(of_clips / clips + 2 * seed_sd**2) for seed_sd in _ASSUMED_SEED_SD}
        counts = {f"seed_sd_{100 * seed_sd:g}": int((each > critical).sum()) for seed_sd, each in statistics.items()}
        rows.append({"discordance": discordance, **counts})
    return pd.DataFrame(rows)


def assumed_section() -> Section:
    """How much the count of significant published gains rests on assumptions."""
    columns = [
        Column(
            "Clips on which exactly one of the two models is right, %",
            lambda row: "as if errors were independent" if pd.isna(row["discordance"]) else f"{100 * row['discordance']:.0f}",
            "text",
        ),
        *(
            number_column(f"Significant if seeds scatter by {100 * seed_sd:g} points (SD)", f"seed_sd_{100 * seed_sd:g}", count)
            for seed_sd in _ASSUMED_SEED_SD
        ),
    ]
    return Section(
        "assumed",
        "The published gains under other assumptions",
        f"How many of the {len(published_table())} gains would be significant, each as the best of the settings tried, if the "
        "predictions and the scatter over seeds were known. Two models of one architecture often differ on 10 to 25 % of clips.",
        assumed_table(),
        columns,
        "",
    )


def published_sentences() -> list[str]:
    """What the table says, in words."""
    table, clips = published_table(), published.test_clips()
    low, high = (smallest_difference(clips, share) * 100 for share in DISCORDANCE)
    alone, corrected = int((table["p_value"] < 0.05).sum()), int((table["finding"] != NOT_DISTINGUISHABLE).sum())
    return [
        f"Of the {len(table)} published gains {alone} are significant on {clips} clips when each is tested alone (unpaired), and "
        f"{corrected} after correcting for selecting the best of nine or ten settings.",
        f"A test paired over clips could detect {low:.1f} to {high:.1f} points between two trained models (power 80 %), but needs "
        "the predictions, which are not published. Each setting was run once, so the scatter over seeds is unknown. Under other "
        f"assumptions {_assumed_range()}.",
    ]


def _assumed_range() -> str:
    """In words what `assumed_table` says of paired tests."""
    paired = assumed_table().dropna(subset=["discordance"])
    alone, scattered = paired["seed_sd_0"], paired["seed_sd_2"]
    many = "none" if not scattered.any() else str(scattered.max())
    return f"{alone.min()} to {alone.max()} gains would be significant (paired test), and {many} if seeds scatter by 2 points"


def _gains() -> Iterator[tuple[str, float, float, dict[float, float]]]:
    """Comparison, published alpha, baseline's accuracy, and accuracies of the settings tried as far as they are published."""
    by_alpha = published.by_alpha()
    for row in published.table1():
        own = by_alpha[(by_alpha["mode"] == SUPERVISED) & (by_alpha["subset"] == row["subset"])].set_index("alpha")
        tried = own["published_accuracy"].drop(1.0).to_dict()
        yield f"supervised, {row['subset'].replace('_', ' ')}", row["published_alpha"], row["published_baseline"], tried
    own = by_alpha[by_alpha["mode"] == SELF_SUPERVISED].set_index("alpha")["published_accuracy"].drop(1.0)
    for temperature, alpha, best, baseline in published.fig3()[
        ["temperature", "published_alpha", "published_acl_accuracy", "published_baseline_accuracy"]
    ].itertuples(index=False):
        # Of the other temperatures only the best alpha is published: the others were no better.
        tried = own.to_dict() if temperature == published.temperature() else dict.fromkeys(own.index, best)
        yield f"self-supervised, τ {temperature:g}", alpha, baseline, tried | {alpha: best}


def _row(comparison: str, alpha: float, baseline: float, tried: dict[float, float]) -> dict[str, object]:
    clips = published.test_clips()
    counts = {each: (round(share * clips), round(baseline * clips)) for each, share in tried.items()}
    p_values = {each: float(proportions_ztest(count, [clips, clips])[1]) for each, count in counts.items()}
    corrected = dict(zip(p_values, holm(p_values.values()), strict=True))
    low, high = confint_proportions_2indep(counts[alpha][0], clips, counts[alpha][1], clips, method="newcomb")
    best = tried[alpha]
    return {
        "comparison": comparison,
        "alpha": alpha,
        "settings_tried": len(tried),
        "baseline": baseline,
        "acl": best,
        "difference": best - baseline,
        "low": float(low),
        "high": float(high),
        "p_value": p_values[alpha],
        "p_corrected": corrected[alpha],
        "finding": finding(best - baseline, corrected[alpha]),
    }


_OF_PAPER = [
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
]
_OF_OTHERS = [Column("Comparison", lambda row: row["label"], "text"), Column("Setting", lambda row: row["setting"], "prose")]
ON_TEST_COLUMNS = [
    Column("Seeds", lambda row: count(row["seeds"])),
    Column("Test, %", lambda row: percent(row["accuracy"])),
    Column("Difference to baseline, points", difference),
    Column("p, corrected", lambda row: p_value(row["p_corrected"])),
    Column("Settings tried", lambda row: count(row["settings_tried"])),
    Column("Claim about", lambda row: row["claim"], "text"),
    Column("Finding", lambda row: finding_text(row["finding"]), "text"),
]
PUBLISHED_COLUMNS = [
    Column("Comparison", lambda row: row["comparison"], "text"),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Settings tried", lambda row: count(row["settings_tried"])),
    Column("Baseline, %", lambda row: percent(row["baseline"]), "published"),
    Column("Best, %", lambda row: percent(row["acl"]), "published"),
    Column("Difference, points", lambda row: f"{points(row['difference'])} [{points(row['low'])}, {points(row['high'])}]"),
    Column("p alone", lambda row: p_value(row["p_value"])),
    Column("p, corrected", lambda row: p_value(row["p_corrected"])),
    Column("Finding", lambda row: finding_text(row["finding"]), "text"),
]
ON_TEST_TITLE = "Every setting against the baseline, on test"
_PUBLISHED = (
    "Intervals are 95 % for independent shares. P-values are of the score test: each alone, and corrected by Holm for the "
    "settings tried at the same subset or temperature. Self-supervised accuracies weigh clips by patches; here they count as "
    "shares of clips, so they look more certain than they are."
)


def on_test_section(
    settings: pd.DataFrame,
    predictions: pd.DataFrame,
    accuracies: pd.Series,
    question: Question = PAPER,
    of: Heading = ONLY,
) -> Section:
    """Every setting against its baseline; the arguments are those of `on_test_table`, and what tells the section from others."""
    on_test = on_test_table(settings, predictions, accuracies, question)
    return Section(
        f"on-test{of.anchor}",
        f"{ON_TEST_TITLE}{of.title}",
        _on_test_text(on_test),
        on_test,
        [*(_OF_PAPER if question.is_of_paper else _OF_OTHERS), *ON_TEST_COLUMNS],
        "No baseline (α = 1) has finished beside a setting with margin."
        if question.is_of_paper
        else f"No baseline ({words(question.baseline)}) has finished beside another setting."
        if question.baseline
        else "The study names no baseline.",
    )


def published_section() -> Section:
    """The published gains, analysed again."""
    return Section(
        "published",
        "The published gains, re-analysed",
        "\n".join([*published_sentences(), _PUBLISHED]),
        published_table(),
        PUBLISHED_COLUMNS,
        "",
        published_figure,
    )


def published_figure(table: pd.DataFrame) -> go.Figure:
    """Forest plot of the published gains, from `published_table`; filled marks are significant after correction."""
    return forest_figure(
        pd.DataFrame(
            {
                "label": table["comparison"],
                "difference": table["difference"],
                "difference_low": table["low"],
                "difference_high": table["high"],
                "detectable": NAN,
                "published": NAN,
                "about": np.where(table["finding"] == NOT_DISTINGUISHABLE, NOT_SIGNIFICANT, SIGNIFICANT),
            }
        )
    )


def _on_test_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "The tables above show the setting that validation selected. Comparing every setting on the test set is a selection on the "
        "test set, so these p-values are corrected for the number of settings. The largest of all differences is tested, by random "
        "flips of signs (trained models) or by multivariate t (settings). The tables above test one pair, so their p-values can "
        "differ."
    ]
    if len(table) and (table["claim"] == "models").any():
        paragraphs[0] += " With one seed on a side, the claim is about trained models and says nothing about settings."
    if len(table) and not table["paired"].all():
        paragraphs[0] += (
            " Some runs have lost their predictions: their accuracies are compared unpaired, with p-values corrected by Holm."
        )
    for _, group in table.groupby("label", sort=False) if len(table) else ():
        best = group.iloc[0].to_dict()
        tried = f"best of {counted(best['settings_tried'], 'setting')}" if best["settings_tried"] > 1 else "the only setting"
        about = "" if best["claim"] == "settings" else "trained models only, "
        unpaired = "" if best["paired"] else ", unpaired"
        paragraphs.append(
            f"{capitalised(best['label'])}: {best['setting']} ({tried}), {points(best['difference'])} points against the baseline, "
            f"{finding_text(best['finding'])} ({about}{_corrected(best['p_corrected'])}{unpaired})."
        )
    return "\n".join(paragraphs)


def _corrected(value: float) -> str:
    shown = p_value(value)
    return f"corrected p {shown}" if shown.startswith("<") else f"corrected p = {shown}"
