"""Injected label noise: baseline and winner at each rate."""

from analysis.sections.label_noise import noise_sections, noise_table
from support.fabricated_trials import FakeTrials


def test_baseline_and_winner_are_compared_at_each_rate_of_noise(fakes: FakeTrials) -> None:
    for rate, kind, accuracies in (
        (0.0, "symmetric", (50, 60)),
        (0.4, "symmetric", (30, 50)),
        (0.4, "out-of-vocabulary", (40, 45)),
    ):
        for alpha, correct in zip((1.0, 0.5), accuracies, strict=True):
            fakes.add(alpha, val=0.5, correct=correct, **{"noise.rate": rate, "noise.kind": kind})
    table = noise_table(fakes.trials, fakes.predictions)
    clips = table["test_clips"].iloc[0]
    assert table[["kind", "rate"]].values.tolist() == [
        ["out-of-vocabulary", 0.0],
        ["out-of-vocabulary", 0.4],
        ["symmetric", 0.0],
        ["symmetric", 0.4],
    ]
    assert (clips * table["baseline_accuracy"]).round().tolist() == [50, 40, 50, 30]
    assert (clips * table["difference"]).round().tolist() == [10, 5, 10, 20]
    assert noise_table(fakes.trials[fakes.trials["noise.rate"] == 0], fakes.predictions).empty
    (section,) = noise_sections(fakes.trials, fakes.predictions)
    assert [row[3].text for row in section.rows] == ["0.0", "40.0", "0.0", "40.0"]
