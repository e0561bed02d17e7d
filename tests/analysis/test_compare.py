"""Two studies or two trials side by side."""

from pathlib import Path

import numpy as np
import pytest

from analysis.compare import compare, compared_lines
from analysis.errors import AnalysisError
from support.command_line import call


@pytest.fixture
def two(records):
    """Two studies of the same settings, but for the epochs and one alpha each; with three seeds at alpha 0.5."""
    generator = np.random.default_rng(0)
    for name, share, other, epochs in (("short", 0.4, 0.3, 3), ("long", 0.7, 0.9, 9)):
        study = records.study(name)
        records.trial(study, alpha=1.0, correct=generator.random(100) < share, epochs=epochs)
        records.trial(study, alpha=other, correct=50, epochs=epochs)
        for seed in range(3):
            records.trial(study, alpha=0.5, seed=seed, correct=generator.random(100) < share, epochs=epochs)
    return records


def test_studies_are_compared_at_the_settings_that_both_have(two) -> None:
    found = compare(two.uri, "short", "long")
    assert found.differing.to_dict("records") == [
        {"setting": "loss.alpha", "first": "0.3, 0.5, 1", "second": "0.5, 0.9, 1"},
        {"setting": "optim.epochs", "first": "3", "second": "9"},
    ]
    rows = found.pairs.set_index("alpha")
    assert sorted(rows.index) == [0.5, 1.0]
    assert rows["claim"].to_dict() == {0.5: "settings", 1.0: "models"}
    assert rows.loc[1.0, "difference"] == pytest.approx(rows.loc[1.0, "second"] - rows.loc[1.0, "first"])
    smaller, larger = sorted(rows["p_value"])
    assert sorted(rows["p_corrected"]) == pytest.approx(sorted([min(1, 2 * smaller), max(larger, min(1, 2 * smaller))]))
    lines = compared_lines(found)
    assert "  optim.epochs: 3 → 9" in lines
    assert any("3 seeds)" in line and "α 0.5" in line for line in lines)
    assert any("too few seeds: trained models only" in line and "α 1" in line for line in lines)


def test_trials_are_compared_clip_by_clip(two, monkeypatch, capsys, tmp_path) -> None:
    client, experiment = two.client, two.experiment
    ids = [run.info.run_id for run in client.search_runs([experiment], "params.`loss.alpha` = '1.0'", order_by=["start_time"])]
    found = compare(two.uri, ids[0], ids[1][:8])
    (row,) = found.pairs.to_dict("records")
    assert found.differing["setting"].tolist() == ["optim.epochs"]
    assert (row["claim"], row["seeds"]) == ("models", 1)
    assert row["p_corrected"] == row["p_value"] < 0.05
    assert call(monkeypatch, "compare", ids[0], ids[1], "--store", two.uri, "--home", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "optim.epochs: 3 → 9" in said
    assert f"{100 * row['difference']:+.1f}" in said
    page = Path(said.splitlines()[-1].removeprefix("page: ")).read_text(encoding="utf-8")
    assert page.count("lines") >= 4  # two trials, two metrics
    assert '<td class="prose">9</td>' in page  # of the settings that differ
    assert 'id="figure-forest"' in page


def test_swapping_the_sides_changes_the_sign(two) -> None:
    forward, backward = (
        compare(two.uri, *names).pairs.set_index("alpha").sort_index() for names in (("short", "long"), ("long", "short"))
    )
    assert forward["difference"].tolist() == pytest.approx((-backward["difference"]).tolist())
    assert forward["p_value"].tolist() == pytest.approx(backward["p_value"].tolist())


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [("short", "nothing", "short is a study and nothing is none"), ("nobody", "nothing", "'nobody' names no trial")],
)
def test_what_cannot_be_compared_is_refused(two, first: str, second: str, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        compare(two.uri, first, second)


def test_studies_without_a_common_setting_say_so(records) -> None:
    for name, alpha in (("one", 0.3), ("other", 0.9)):
        records.trial(records.study(name), alpha=alpha)
    assert "  nothing to pair: no setting has finished in both" in compared_lines(compare(records.uri, "one", "other"))
