"""From the options of the command line to a resolved study."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acl.config import ConfigError
from study.cli.options import given_resources
from study.errors import StudyError
from study.spec.corpus_fit import fit_to_corpus
from study.spec.files import read_value
from study.spec.resolve import read_study, replaced_fields, resolve_study
from study.spec.study import Study
from study.state.home import Home


@dataclass(frozen=True)
class StudyOptions:
    """What the command line says of a study beside its file.

    Attributes:
        name: under which it is launched; None for the file's.
        profile: None for the file's.
        overrides: settings and fields by dotted name.
        resources: `cpus` and `gpus` of each trial, where they replace the study's.
    """

    name: str | None = None
    profile: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)

    def on_corpus(self, root: str) -> "StudyOptions":
        """The same on the corpus in a folder, which need not be one of this machine."""
        return replace(self, overrides={**self.overrides, "data.root": root})


def choose_study(study_name: str, home: Home, options: StudyOptions = StudyOptions()) -> Study:
    """Resolve a study, on the synthetic corpus where the mini profile names no other, with the subsets that its corpus has.

    Raises:
        StudyError: the study is wrong, or there is no corpus for it.
    """
    content = read_study(study_name)
    if options.name is not None:
        content["name"] = options.name
    profile, overrides, resources = options.profile, options.overrides, options.resources
    study = resolve_study(content, profile, overrides, resources)  # a wrong study is refused before a corpus is written
    if any("data.root" not in sweep.base for sweep in study.sweeps):
        if study.profile != "mini":
            raise StudyError("no corpus: pass --data DIR (a prepared corpus), or --profile mini for the synthetic one")
        from study.corpora import ensure_mini_corpus

        print("note: no --data: the trials run on the synthetic corpus of the mini profile", file=sys.stderr, flush=True)
        corpus = {"data.root": str(ensure_mini_corpus(home))}
        study = resolve_study(content, profile, {**corpus, **overrides}, resources)
    study, changes = fit_to_corpus(study, overrides)
    for line in [*replaced_fields(content, study.profile, overrides), *changes]:
        print(f"note: {line}", file=sys.stderr)
    return study


def study_options(
    name: str | None, profile: str | None, settings: list[str], data: Path | None, cpus: float | None, gpus: float | None
) -> StudyOptions:
    """The options that commands share, as `choose_study` takes them; errors as `parse_settings`."""
    return StudyOptions(name, profile, parse_settings(settings, data), given_resources(cpus, gpus))


def parse_settings(settings: list[str], data: Path | None) -> dict[str, Any]:
    """Dotted name -> value of `--set NAME=VALUE` options (values as in YAML) and of `--data`.

    >>> parse_settings(["loss.alpha=0.3", "data.subset=clean"], None)
    {'loss.alpha': 0.3, 'data.subset': 'clean'}

    Raises:
        ConfigError: an option without "=".
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set takes NAME=VALUE, got {setting!r}; e.g. --set loss.alpha=0.3")
        try:
            parsed[name.strip()] = read_value(value)
        except StudyError:
            raise ConfigError(
                f"--set {name.strip()}: {value!r} is no value; write a number, a text or a list such as [0.5, 0.9]"
            ) from None
    if data is not None:
        parsed["data.root"] = str(data.absolute())
    return parsed
