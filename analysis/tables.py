"""The paper's tables and figures as frames: pure functions, settings in, one frame out, empty where data are absent.

Winners are picked on validation (`analysis.settings.pick`); the baseline is alpha 1. Accuracies are shares of the test clips
unless a name says otherwise, `low` and `high` their 95 % interval (see `analysis.statistics`).
"""

from typing import Any

import pandas as pd

from analysis import published
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.runs import SUBSETS
from analysis.settings import NO_PAIR, TEST, Pair, correct_clips, pick, pick_self_supervised, temperatures_of_both
from analysis.statistics import interval_over_seeds

NAN = float("nan")
_SIDE = ("accuracy", "low", "high", "seeds", "seed_sd")
_FIG3 = {
    **{f"{name}{bound}": f"{name}{bound}" for name in ("uniformity", "tolerance") for bound in ("", "_low", "_high")},
    "accuracy": "patch_weighted",
    "low": "patch_weighted_low",
    "high": "patch_weighted_high",
    "plain_accuracy": "accuracy",
    "plain_low": "low",
    "plain_high": "high",
    "seeds": "seeds",
}
WEIGHTED = ("patch_weighted", "patch_weighted_low", "patch_weighted_high")


def table1(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Table 1: supervised training on each subset, cross-entropy alone against cross-entropy with margin."""
    supervised = settings[settings["mode"] == SUPERVISED]
    if supervised.empty:
        return pd.DataFrame()
    rows = []
    for row in published.table1():
        pair = pick(supervised[supervised["subset"] == row["subset"]])
        sides = {"baseline": pair.baseline, "acl": pair.acl}
        rows.append(
            {
                "subset": row["subset"],
                **pair_columns(pair, predictions),
                **{name: value for name, value in row.items() if name != "subset"},
                **{
                    f"{name}_minus_published": NAN if side is None else side["accuracy"] - row[f"published_{name}"]
                    for name, side in sides.items()
                },
            }
        )
    return pd.DataFrame(rows)


def table2(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Table 2: supervised (subset all) and self-supervised, each without and with ACL.

    `minus_published` compares plain accuracy in the supervised rows and patch-weighted accuracy in the SSL rows, as published.
    """
    supervised = pick(settings[(settings["mode"] == SUPERVISED) & (settings["subset"] == "all")])
    ssl = pick_self_supervised(settings)
    if all(side is None for side in (supervised.baseline, supervised.acl, ssl.baseline, ssl.acl)):
        return pd.DataFrame()
    rows = []
    for pair, prefix, measure in ((supervised, "supervised", "accuracy"), (ssl, "SSL", "patch_weighted")):
        for method, side in ((f"{prefix} baseline", pair.baseline), (f"{prefix} with ACL", pair.acl)):
            values = _values(side, {name: name for name in (*_SIDE, *WEIGHTED, "alpha", "margin", "temperature")})
            compared = pair if side is pair.acl else NO_PAIR  # the baseline's row has no difference
            expected = published.table2()[method]
            rows.append(
                {
                    "method": method,
                    **values,
                    **difference_columns(compared, predictions),
                    "published": expected,
                    "compared_measure": "patch-weighted" if measure == "patch_weighted" else "plain",
                    "minus_published": values[measure] - expected,
                }
            )
    return pd.DataFrame(rows)


def fig2_table(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Fig. 2: class-wise test accuracy of baseline and winner, lowest baseline first.

    Of the self-supervised pair of Table 2; of the supervised pair (subset all, else the next complete one) where no
    self-supervised pair is complete. Column `mode` says which.
    """
    pair, mode = class_pair(settings)
    if pair.baseline is None or pair.acl is None:
        return pd.DataFrame()
    own = predictions["run_id"].isin(pair.baseline["run_ids"]) & (predictions["split"] == TEST)
    label_of_clip = predictions[own].drop_duplicates("clip").set_index("clip")["label"]
    sides = {"baseline": pair.baseline, "acl": pair.acl}
    correct = {side: correct_clips(predictions, row["run_ids"]) for side, row in sides.items()}
    rows = []
    for label, clips in label_of_clip.groupby(label_of_clip).groups.items():
        row: dict[str, Any] = {"mode": mode, "class": label, "clips": len(clips)}
        for side, table in correct.items():
            of_runs = table.loc[clips].mean()
            low, high = interval_over_seeds(of_runs, len(clips))
            row |= {f"{side}_accuracy": float(of_runs.mean()), f"{side}_low": low, f"{side}_high": high}
        rows.append({**row, "difference": row["acl_accuracy"] - row["baseline_accuracy"]})
    return pd.DataFrame(rows).sort_values(["baseline_accuracy", "class"], ignore_index=True)


def fig3_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Fig. 3: -uniformity, tolerance and accuracy by temperature, contrastive loss against the ACL winner of that temperature.

    `low` and `high` of uniformity and tolerance are over seeds. `*_accuracy` is patch-weighted, as published;
    `*_plain_accuracy` counts clips. Temperatures that were only published have empty columns of ours; temperatures without a
    baseline are left out (they are in the search table).
    """
    own = settings[settings["mode"] == SELF_SUPERVISED]
    rows = []
    for temperature in temperatures_of_both(own):
        pair = pick(own[own["temperature"] == temperature])
        row = {
            "temperature": temperature,
            "settings_tried": len(pair.others),
            **_values(pair.acl, {"alpha": "alpha", "margin": "margin"}),
        }
        for name, side in (("baseline", pair.baseline), ("acl", pair.acl)):
            row |= _values(side, {f"{name}_{column}": source for column, source in _FIG3.items()})
            for bound, opposite in (("", ""), ("_low", "_high"), ("_high", "_low")):
                row[f"{name}_minus_uniformity{bound}"] = -row.pop(f"{name}_uniformity{opposite}")
        rows.append(row)
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame(rows).merge(published.fig3(), on="temperature", how="outer").sort_values("temperature", ignore_index=True)


def alpha_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy by alpha for each mode and subset, at one margin and temperature: those with the most alphas.

    Self-supervised accuracies are patch-weighted, as published; column `measure` says which. Published values are given only at
    the published margin and temperature.
    """
    parts = []
    for mode in (SUPERVISED, SELF_SUPERVISED):
        for subset in SUBSETS:
            group = settings[(settings["mode"] == mode) & (settings["subset"] == subset)]
            if group.empty:
                continue
            line = line_over_alpha(group)
            if mode == SELF_SUPERVISED:
                line = line.drop(columns=["accuracy", "low", "high"])
                line = line.rename(columns=dict(zip(WEIGHTED, ("accuracy", "low", "high"), strict=True)))
            line["measure"] = "patch-weighted" if mode == SELF_SUPERVISED else "plain"
            parts.append(line)
    if not parts:
        return pd.DataFrame()
    ours = pd.concat(parts).merge(published.by_alpha(), on=["mode", "subset", "alpha"], how="left")
    elsewhere = ours["margin"] != published.margin()
    elsewhere |= (ours["mode"] == SELF_SUPERVISED) & (ours["temperature"] != published.temperature())
    ours.loc[elsewhere, "published_accuracy"] = NAN
    order = ["mode", "subset", "margin", "temperature", "alpha", "seeds", "test_clips", "measure", "accuracy", "low", "high"]
    return ours[[*order, "seed_sd", "val_accuracy", "val_low", "val_high", "published_accuracy"]]


def class_pair(settings: pd.DataFrame) -> tuple[Pair, str]:
    """The pair whose classes are compared, and its mode: self-supervised, else that of the first complete subset, `all` first."""
    pair = pick_self_supervised(settings)
    if pair.is_complete:
        return pair, SELF_SUPERVISED
    supervised = settings[settings["mode"] == SUPERVISED]
    pairs = (pick(supervised[supervised["subset"] == subset]) for subset in SUBSETS)
    return next((own for own in pairs if own.is_complete), NO_PAIR), SUPERVISED


def pair_columns(pair: Pair, predictions: pd.DataFrame) -> dict[str, Any]:
    """Both sides of a pair, the winner's setting, and what may be said about them, as columns."""
    return {
        **_values(pair.baseline, {f"baseline_{name}": name for name in _SIDE}),
        **_values(pair.acl, {f"acl_{name}": name for name in _SIDE}),
        **_values(pair.acl, {"alpha": "alpha", "margin": "margin"}),
        **difference_columns(pair, predictions),
    }


def difference_columns(pair: Pair, predictions: pd.DataFrame) -> dict[str, Any]:
    """What may be said about a winner and its baseline, as columns; NaN and no words where a side is missing.

    `difference_low`, `difference_high`, `p_value` and `resolvable` are those of the claim that can be made: about the settings
    where each has several seeds, else about these trained models. `claim` says which; `finding` is about the settings,
    `models_finding` about the models.
    """
    found = pair.claim(predictions)
    if found is None:
        empty = ("test_clips", "difference", "difference_low", "difference_high", "p_value", "resolvable", "settings_tried")
        return {**dict.fromkeys(empty, NAN), "claim": "", "finding": "", "models_finding": "", "verdict": ""}
    low, high = found.interval
    return {
        "test_clips": found.models.clips,
        "difference": found.difference,
        "difference_low": low,
        "difference_high": high,
        "p_value": found.p_value,
        "resolvable": found.resolvable,
        "settings_tried": found.candidates,
        "claim": "models" if found.settings is None else "settings",
        "finding": found.finding,
        "models_finding": found.models.finding,
        "verdict": found.verdict,
    }


def line_over_alpha(settings: pd.DataFrame) -> pd.DataFrame:
    """The settings at that margin and temperature which have most alphas (ties: the published ones, then the smallest).

    A baseline has no margin and belongs to every margin; its row gets the margin of the line it is shown with.
    """
    ranks = []
    for temperature in sorted(settings["temperature"].unique()):
        own = settings[_at(settings["temperature"], temperature)]
        baselines, alphas = int(own["margin"].isna().any()), own.groupby("margin")["alpha"].nunique()
        for margin, number in zip(alphas.index.astype(float), alphas, strict=True) if len(alphas) else [(published.margin(), 0)]:
            unlike = margin != published.margin(), temperature != published.temperature()
            ranks.append((-number - baselines, *unlike, temperature, margin))
    *_, temperature, margin = min(ranks)
    line = settings[_at(settings["temperature"], temperature) & _at(settings["margin"], margin)]
    return line.assign(margin=margin).sort_values("alpha")


def _at(column: pd.Series, value: float) -> pd.Series:
    """Where the column has the value or none."""
    return column.eq(value) | column.isna()


def _values(side: pd.Series | None, sources: dict[str, str]) -> dict[str, Any]:
    """Column -> value of a setting under its source name; NaN where there is no such setting."""
    return {column: NAN if side is None else side[source] for column, source in sources.items()}
