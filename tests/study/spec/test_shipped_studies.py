"""The studies that come with the package."""

import pytest

from acl.config import build_config, flatten
from study.spec.files import shipped_studies
from study.spec.resolve import read_study, resolve_study
from study.spec.space import edge_points


def test_the_shipped_studies_are_there() -> None:
    searches = {"search-ssl", "search-supervised"}
    controls = {"null-alpha", "margin-sweep"}
    assert set(shipped_studies()) == {"quickstart", "table1-supervised", "table2-ssl", "fig3-temperature"} | searches | controls


def test_the_negative_control_differs_in_nothing_but_ten_seeds() -> None:
    (sweep,) = resolve_study(read_study("null-alpha")).sweeps
    assert sweep.space == {}
    assert sweep.base["loss.alpha"] == 1.0
    assert len(sweep.points) == len({point["seed"] for point in sweep.points}) == 10
    assert all(point.keys() == {"seed"} for point in sweep.points)


def test_the_margin_sweep_varies_only_the_margin_in_both_modes() -> None:
    sweeps = {sweep.name: sweep for sweep in resolve_study(read_study("margin-sweep")).sweeps}
    for mode in ("supervised", "ssl"):
        assert sweeps[mode].space.keys() == {"loss.margin"}
        margins = sweeps[mode].space["loss.margin"].values
        assert margins is not None
        assert (min(margins), max(margins)) == (0.1, 1.5)
        assert 0.5 in margins
        assert sweeps[mode].base["loss.alpha"] < 1 == sweeps[f"{mode}-baseline"].base["loss.alpha"]
        assert sweeps[mode].seeds == sweeps[f"{mode}-baseline"].seeds


@pytest.mark.parametrize("profile", [None, "mini"])
@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_every_edge_of_a_shipped_space_is_a_valid_configuration(name: str, profile: str | None) -> None:
    resolved = resolve_study(read_study(name), profile)
    assert resolved.question
    assert resolved.paper_found
    for sweep in resolved.sweeps:
        for point in edge_points(sweep.space):
            config = build_config({"data.root": "corpus", **sweep.base, **point})
            assert flatten(config).items() >= point.items()


def test_shipped_studies_have_the_sizes_of_the_paper() -> None:
    runs = {name: resolve_study(read_study(name)).runs for name in shipped_studies()}
    assert runs["table1-supervised"] == 4 * 10
    assert runs["table2-ssl"] == 11
    assert runs["fig3-temperature"] == 10 * 11
    assert runs["quickstart"] >= 16


def test_shipped_recipe_studies_change_only_what_they_vary() -> None:
    for name in ("table1-supervised", "table2-ssl", "fig3-temperature"):
        (sweep,) = resolve_study(read_study(name)).sweeps
        mode = sweep.base["mode"]
        recipe = flatten(build_config({"mode": mode, "data.root": "x"}))
        settings = flatten(build_config({"data.root": "x", **sweep.base}))
        assert settings == recipe


def test_the_quickstart_samples_its_settings_in_both_modes() -> None:
    resolved = resolve_study(read_study("quickstart"))
    searched = {(sweep.base["mode"], name) for sweep in resolved.sweeps for name in sweep.space}
    assert {("supervised", "loss.alpha"), ("supervised", "loss.margin")} <= searched
    assert {("self-supervised", f"loss.{name}") for name in ("alpha", "margin", "temperature")} <= searched


def test_a_pair_of_the_quickstart_has_three_seeds_on_both_sides_and_no_rival_with_one() -> None:
    sweeps = resolve_study(read_study("quickstart")).sweeps
    own = [sweep for sweep in sweeps if sweep.base.get("data.subset") == "clean"]
    (repeated,) = own
    pairs = {(point["loss.alpha"], point["seed"]) for point in repeated.points}
    assert pairs == {(alpha, seed) for alpha in (1.0, 0.5) for seed in (0, 1, 2)}
    assert not any("clean" in (dimension.values or ()) for sweep in sweeps for dimension in sweep.space.values())


def test_the_quickstart_trains_all_runs_of_a_mode_alike_so_that_its_tables_have_them_all() -> None:
    fixed: dict[str, set[tuple[tuple[str, object], ...]]] = {}
    for sweep in resolve_study(read_study("quickstart")).sweeps:
        config = flatten(build_config({"data.root": "corpus", **sweep.base}))
        varied = {*sweep.space, "data.subset", "loss.alpha", "loss.margin", "loss.temperature", "seed"}
        kept = tuple(sorted((name, repr(value)) for name, value in config.items() if name not in varied))
        fixed.setdefault(sweep.base["mode"], set()).add(kept)
    assert {mode: len(protocols) for mode, protocols in fixed.items()} == {"supervised": 1, "self-supervised": 1}
