"""The paper's own tables analysed anew: which of its gains exceed what 947 test clips and one seed can show.

Per-clip results are not published, so that the comparisons are unpaired; of the settings that were tried the best on test is in the
tables, which Holm's method corrects for. Nothing can be said about seeds: each setting was run once.
"""

from collections.abc import Iterator
from functools import cache

import pandas as pd
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from analysis import published
from analysis.power import DISCORDANCE, smallest_difference
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.statistics import finding, holm


@cache
def published_table() -> pd.DataFrame:
    """A row for each published gain: Table 1 by subset, then the self-supervised results by temperature.

    Columns: comparison, alpha (the published best), settings_tried, baseline, acl, difference with low and high (95 %, Newcombe's
    hybrid score interval for independent shares), p_value (score test), p_corrected (Holm over the settings tried), finding (of the
    corrected one). Self-supervised accuracies weigh clips by patches; they are taken as shares of as many clips, which is generous:
    unequal weights make them less certain.
    """
    return pd.DataFrame([_row(*gain) for gain in _gains()])


def published_sentences() -> list[str]:
    """What the table says, in words."""
    table, clips = published_table(), published.test_clips()
    low, high = (smallest_difference(clips, share) * 100 for share in DISCORDANCE)
    alone, corrected = int((table["p_value"] < 0.05).sum()), int((table["finding"] != "not distinguishable").sum())
    return [
        f"Of {len(table)} published gains {alone} are distinguishable from chance on {clips} clips when each is looked at alone "
        f"(unpaired), and {corrected} when it is taken into account that the best of nine or ten settings is shown.",
        f"Paired over clips, which would need the published predictions, {clips} clips resolve {low:.1f} to {high:.1f} points "
        "between two trained models; what another seed would have given is not known for any of them.",
    ]


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
