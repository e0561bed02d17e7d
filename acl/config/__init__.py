"""Every setting of a training run: name, type, unit, default and legal range, once.

A run is either supervised (CNN, cross-entropy + angular margin) or self-supervised (ResNet-18, ACL). Each mode has its own
configuration class, so a setting that a mode does not use does not exist there. Defaults are the published recipe.

The dotted name of a setting (`loss.alpha`) is its name everywhere: command line, search space, study file, MLflow parameter.
"""

from acl.config.build import Config, build_config, describe_settings, flatten, setting_names
from acl.config.describe import Setting
from acl.config.sections import SELF_SUPERVISED, SUPERVISED, ComputeConfig, Mode, NoiseConfig, Section
from acl.config.self_supervised import (
    BLUR_SIGMA_MIN,
    ClassifierOptim,
    ProbeConfig,
    SelfSupervisedConfig,
    SelfSupervisedData,
    StepDecayConfig,
    ViewsConfig,
)
from acl.config.supervised import SupervisedConfig, SupervisedData
from acl.system.errors import ConfigError

__all__ = [
    "BLUR_SIGMA_MIN",
    "SELF_SUPERVISED",
    "SUPERVISED",
    "ClassifierOptim",
    "ComputeConfig",
    "Config",
    "ConfigError",
    "Mode",
    "NoiseConfig",
    "ProbeConfig",
    "Section",
    "SelfSupervisedConfig",
    "SelfSupervisedData",
    "Setting",
    "StepDecayConfig",
    "SupervisedConfig",
    "SupervisedData",
    "ViewsConfig",
    "build_config",
    "describe_settings",
    "flatten",
    "setting_names",
]
