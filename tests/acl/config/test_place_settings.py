"""The settings that say where a run computes exist under the names by which they are left out of comparisons."""

import pytest

from acl.config import SELF_SUPERVISED, SUPERVISED, ComputeConfig, setting_names
from acl.metric_names import COMPUTE_PREFIX, PLACE_SETTINGS
from acl.training.checkpoint_files import differing_settings


@pytest.mark.parametrize("mode", [SUPERVISED, SELF_SUPERVISED])
def test_they_are_settings_of_both_modes(mode: str) -> None:
    known = setting_names(mode)
    assert set(PLACE_SETTINGS) <= set(known)
    assert [name for name in known if name.startswith(COMPUTE_PREFIX)] == [
        f"{COMPUTE_PREFIX}{leaf}" for leaf in ComputeConfig.model_fields
    ]


def test_a_run_goes_on_elsewhere_and_in_another_precision() -> None:
    one = {"data.root": "a", "compute.device": "cpu", "compute.precision": "fp32", "optim.lr": 0.1}
    other = {"data.root": "b", "compute.device": "cuda", "compute.precision": "bf16", "optim.lr": 0.2}
    assert list(differing_settings(one, other)) == ["optim.lr"]
