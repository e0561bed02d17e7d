"""Published numbers of the paper."""

import json

import pytest

from analysis import published
from reference.folder import REFERENCE

SSL = "self-supervised"
PUBLISHED = REFERENCE / "published.json"


@pytest.fixture
def reference():
    if not PUBLISHED.exists():
        pytest.skip("the reference folder is not beside this project")
    return json.loads(PUBLISHED.read_text())


@pytest.mark.reference
def test_table1_is_the_references(reference):
    rows = {row.pop("subset"): row for row in published.table1()}
    assert rows.keys() == reference["table1"]["rows"].keys()
    for subset, row in reference["table1"]["rows"].items():
        assert rows[subset] == pytest.approx(
            {
                "published_baseline": row["baseline"] / 100,
                "published_acl": row["margin"] / 100,
                "published_alpha": row["alpha"],
                "published_difference": row["margin"] / 100 - row["baseline"] / 100,
            }
        )


@pytest.mark.reference
def test_table2_and_fig2_are_the_references(reference):
    assert {row: value * 100 for row, value in published.table2().items()} == pytest.approx(reference["table2"]["rows"])
    assert published.fig2() == {name: reference["fig2"][name] for name in ("classes_improved", "classes")}


@pytest.mark.reference
def test_all_of_fig3_is_the_references(reference):
    ours = published.fig3().set_index("temperature")
    assert ours.index.tolist() == [float(temperature) for temperature in reference["fig3"]]
    for temperature, row in reference["fig3"].items():
        own = ours.loc[float(temperature)]
        assert own["published_alpha"] == row["acl_alpha"]
        for side, source in (("baseline", "contrastive"), ("acl", "acl")):
            assert own[f"published_{side}_minus_uniformity"] == row["minus_uniformity"][source]
            assert own[f"published_{side}_accuracy"] == pytest.approx(row["linear_accuracy"][source] / 100)
        assert own["published_baseline_tolerance"] == row["tolerance"]["contrastive"]
        erratum = row.get("erratum", {"tolerance.acl": row["tolerance"]["acl"]})
        assert own["published_acl_tolerance"] == erratum["tolerance.acl"]
        printed = row["tolerance"]["acl"] if "erratum" in row else float("nan")
        assert own["published_acl_tolerance_printed"] == pytest.approx(printed, nan_ok=True)


@pytest.mark.reference
def test_accuracies_by_alpha_are_the_references(reference):
    ours = published.by_alpha().set_index(["mode", "subset", "alpha"])["published_accuracy"] * 100
    supervised = {
        ("supervised", subset, float(alpha)): value
        for alpha, row in reference["supervised_by_alpha"].items()
        for subset, value in row.items()
    }
    self_supervised = {
        (SSL, "noisy", float(alpha)): row["patch_weighted_micro"]["linear"]
        for alpha, row in reference["ssl_by_alpha_at_temperature_0.2"].items()
    }
    assert ours.to_dict() == pytest.approx(supervised | self_supervised)


@pytest.mark.reference
def test_evaluations_by_alpha_are_the_references(reference):
    ours = published.evaluations_by_alpha().set_index(["subset", "evaluation", "alpha"])["published_patch_weighted"] * 100
    expected = {
        ("noisy", {"linear": "classifier"}.get(evaluation, evaluation), float(alpha)): value
        for alpha, row in reference["ssl_by_alpha_at_temperature_0.2"].items()
        for evaluation, value in row["patch_weighted_micro"].items()
    }
    assert ours.to_dict() == pytest.approx(expected)


def test_spot_checks_of_the_printed_numbers():
    noisy_small = next(row for row in published.table1() if row["subset"] == "noisy_small")
    assert (noisy_small["published_baseline"], noisy_small["published_acl"]) == pytest.approx((0.337, 0.399))
    assert noisy_small["published_alpha"] == 0.2
    assert published.table2() == pytest.approx(
        {"supervised baseline": 0.701, "supervised with ACL": 0.736, "SSL baseline": 0.742, "SSL with ACL": 0.771}
    )
    assert published.fig2() == {"classes_improved": 13, "classes": 20}
    by_alpha = published.by_alpha().set_index(["mode", "subset", "alpha"])["published_accuracy"]
    assert by_alpha["supervised", "clean", 0.5] == pytest.approx(0.645)
    assert by_alpha[SSL, "noisy", 0.0] == pytest.approx(0.71295)


@pytest.mark.parametrize(
    ("temperature", "row"),
    [(0.1, (0.7, 0.3976, 0.2447, 0.9113, 0.9471, 0.77081, 0.78356)), (1.0, (0.9, 0.356, 0.153, 0.9271, 0.9676, 0.71329, 0.75964))],
)
def test_spot_checks_of_fig3(temperature, row):
    columns = ["alpha"] + [
        f"{side}_{what}" for what in ("minus_uniformity", "tolerance", "accuracy") for side in ("baseline", "acl")
    ]
    own = published.fig3().set_index("temperature").loc[temperature]
    assert own[[f"published_{name}" for name in columns]].tolist() == pytest.approx(row)


def test_the_erratum_is_corrected_and_the_printed_value_kept():
    ours = published.fig3().set_index("temperature")
    assert (ours.loc[0.3, "published_acl_tolerance"], ours.loc[0.3, "published_acl_tolerance_printed"]) == (0.9595, 0.9437)
    assert ours["published_acl_tolerance_printed"].notna().sum() == 1
    assert published.fig3_erratum().startswith("Published tolerance of ACL at temperature 0.3: 0.9595, recomputed")
