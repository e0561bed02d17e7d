"""Fields of the objects that `--json` prints, made of what the text is made of. docs/json.md documents each of them.

Names are in snake case and end in their unit. Keys that are names of users or settings stand as they are.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from study import names
from study.doctor.findings import Finding, count_problems
from study.results.selection import Candidate, Choice
from study.results.status import StudyStatus, SweepStatus, UnreadableStudy
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.home import Home
from study.state.seeds import SEED

if TYPE_CHECKING:  # these import torch, or pandas
    from acl.training.cost import StageCost
    from analysis.compare import Compared
    from analysis.sections.confirmations import ConfirmedPair
    from analysis.stats.claims import Claim
    from analysis.stats.power import Power
    from study.doctor.installation import Installation, ModeSettings
    from study.machine import Span
    from study.planning.estimate import Hours, Kind, StudyPlan, SweepPlan
    from study.results.study_results import StudyResults

UNREADABLE = "unreadable"  # state of a study whose files cannot be read
Fields = dict[str, Any]


def studies_fields(studies: Sequence[Study]) -> Fields:
    """Fields of `studies`."""
    return {
        "studies": [
            {
                "name": study.name,
                "question": study.question.strip(),
                "trials": study.runs,
                "sweeps": [{"name": sweep.name, "mode": sweep.base["mode"], "trials": sweep.runs} for sweep in study.sweeps],
            }
            for study in studies
        ]
    }


def doctor_fields(findings: Sequence[Finding]) -> Fields:
    """Fields of `doctor`."""
    return {
        "problems": count_problems(findings),
        "findings": [
            {"state": each.state, "topic": each.topic, "found": each.found, "remedy": each.remedy or None} for each in findings
        ],
    }


def profile_fields(profile: str, installation: "Installation", modes: Sequence["ModeSettings"]) -> Fields:
    """Fields of `doctor --profile`."""
    code, hardware = installation.code, installation.hardware
    return {
        "profile": profile,
        "code": {name: code[name] for name in ("version", "git_commit", "git_dirty")},
        "versions": installation.versions,
        "hardware": {name: hardware[name] for name in ("cpu", "cores", "memory_gib", "gpu")},
        "modes": [
            {
                "mode": of_mode.mode,
                "settings": {**of_mode.settings, "data.root": None},
                "published": of_mode.published,
                "deviations": [
                    {"topic": each.topic, "published": each.published, "here": each.here, "because": each.why}
                    for each in of_mode.deviations
                ],
            }
            for of_mode in modes
        ],
    }


def status_fields(home: Home, studies: Sequence[StudyStatus | UnreadableStudy]) -> Fields:
    """Fields of `status`, of one study or of all."""
    return {"home": str(home.root.resolve()), "studies": [_study_status(study) for study in studies]}


def _study_status(study: StudyStatus | UnreadableStudy) -> Fields:
    if isinstance(study, UnreadableStudy):
        return {"name": study.name, "state": UNREADABLE, "reason": study.reason}
    process = study.process
    return {
        "name": study.name,
        "state": study.state,
        "trials": study.total,
        "trials_over": study.over,
        "process": process and {"host": process.host, "pid": process.pid, "since_unix_seconds": process.since},
        "last_activity_unix_seconds": study.last_activity,
        "mlflow_entries_behind": study.events_behind,
        "study_bytes": study.size,
        "checkpoint_bytes": study.checkpoints,
        "free_bytes": study.free,
        "sweeps": [_sweep_status(sweep) for sweep in study.sweeps],
    }


def _sweep_status(sweep: SweepStatus) -> Fields:
    return {
        "name": sweep.sweep.name,
        "trials": sweep.needed,
        "trials_over": sweep.over,
        "states": sweep.states,
        "epochs_per_hour": sweep.epochs_per_hour,
        "rate_window_seconds": sweep.window,
        "epochs_left": sweep.epochs_left,
        "is_upper_bound": sweep.is_bound,
        "seconds_left": None if sweep.hours_left is None else 3600 * sweep.hours_left,
        "best": [_choice(sweep.sweep.objectives, choice) for choice in sweep.choices],
        "failures": [{"reason": reason or None, "trials": trials} for reason, trials in sweep.failures.items()],
        "remarks": list(sweep.remarks),
    }


def _choice(objectives: Sequence[str], choice: Choice) -> Fields:
    return {
        "subset": choice.subset,
        "candidates": len(choice.candidates),
        "winners": [
            {
                "setting": winner.setting,
                "objectives": dict(zip(objectives, winner.objectives, strict=True)),
                "seeds": len(winner.rows),
            }
            for winner in choice.winners
        ],
    }


def best_fields(results: "StudyResults", left: int) -> Fields:
    """Fields of `best`, for a study that confirms no other.

    Args:
        results: of the study.
        left: trials that are not over.
    """
    return {
        "study": results.study.name,
        "confirms": None,
        "trials_left": left,
        "sweeps": [
            {"name": sweep.name, "choices": [_selected(results, sweep, choice) for choice in results.choices[sweep.name]]}
            for sweep in results.study.sweeps
        ],
        "pairs": [],
    }


def _selected(results: "StudyResults", sweep: Sweep, choice: Choice) -> Fields:
    is_single = len(sweep.objectives) == 1
    found = results.claim(sweep, choice) if is_single and not choice.winners[0].is_baseline else None
    return {
        **_choice(sweep.objectives, choice),
        "winners": [
            {
                "setting": winner.setting,
                "is_baseline": winner.is_baseline,
                "objectives": {objective: _figure(results, winner, objective) for objective in sweep.objectives},
                "test_accuracy": _figure(results, winner, names.TEST_ACCURACY),
                "seeds": [int(row[SEED]) for row in winner.rows],
                "trials": [row["trial_id"] for row in winner.rows],
                "run_ids": [row["run_id"] for row in winner.rows],
            }
            for winner in choice.winners
        ],
        "lacking_seeds": [lacking.setting for lacking in choice.lacking],
        "baseline": dict(results.question(sweep).baseline),
        "verdict": results.verdict(sweep, choice) if is_single else None,
        "claim": found and _claim(found),
    }


def _figure(results: "StudyResults", candidate: Candidate, metric: str) -> Fields:
    figure = results.figure(candidate, metric)
    low, high = figure.interval or (None, None)
    return {"value": figure.value, "low": low, "high": high}


def _claim(claim: "Claim") -> Fields:
    low, high = claim.interval
    return {
        "about": "models" if claim.settings is None else "settings",
        "finding": claim.models.finding if claim.settings is None else claim.finding,
        "difference": claim.difference,
        "low": low,
        "high": high,
        "p_value": claim.p_value,
        "detectable_difference": None if math.isnan(claim.resolvable) else claim.resolvable,
        "baselines": claim.baselines,
        "candidates": claim.candidates,
        "equivalence": claim.equivalence,
        "is_equivalent": claim.is_equivalent if claim.equivalence is not None and claim.is_about_settings_as_planned else None,
        "level": claim.look.level,
    }


def confirmation_fields(study: Study, pairs: Sequence["ConfirmedPair"], left: int) -> Fields:
    """Fields of `confirm`, and of `best` for a study that confirms another one.

    Args:
        study: that confirms.
        pairs: winners and their baselines.
        left: trials that are not over.
    """
    return {"study": study.name, "confirms": study.confirms, "trials_left": left, "sweeps": [], "pairs": [*map(_pair, pairs)]}


def _pair(pair: "ConfirmedPair") -> Fields:
    found = pair.found
    return {
        "label": pair.label,
        "winner_setting": pair.winner,
        "baseline_setting": pair.baseline,
        "confirmed": pair.answer,
        "seeds": found.seeds if found else 0,
        "winner_accuracy": found and found.winner,
        "baseline_accuracy": found and found.baseline,
        "difference": found and found.difference,
        "low": found and found.low,
        "high": found and found.high,
        "missing": pair.missing,
    }


def compare_fields(compared: "Compared", page: str) -> Fields:
    """Fields of `compare`.

    Args:
        compared: the two sides.
        page: file of the comparison.
    """
    pairs = [] if compared.pairs.empty else compared.pairs.to_dict("records")
    columns = ("setting", "first", "second", "difference", "low", "high", "p_value", "p_corrected", "finding", "claim", "seeds")
    return {
        "first": compared.labels[0],
        "second": compared.labels[1],
        "differing": compared.differing.to_dict("records"),
        "pairs": [{_PAIR_NAMES.get(name, name): row[name] for name in columns} for row in pairs],
        "notes": compared.notes,
        "page": page,
    }


_PAIR_NAMES = {"setting": "of", "first": "first_accuracy", "second": "second_accuracy", "claim": "about"}


def plan_fields(plan: "StudyPlan") -> Fields:
    """Fields of `plan`."""
    from study.planning.text import fits_disk

    machine = plan.machine
    return {
        "study": plan.study.name,
        "profile": plan.study.profile,
        "machine": {
            "cores": machine.cores,
            "busy_cores": min(plan.load, plan.machine.cores),
            "memory_bytes": machine.memory_bytes,
            "gpus": machine.gpus,
            "gpu_memory_bytes": machine.gpu_memory_bytes,
        },
        "cluster": [
            {"host": each.host, "address": each.address, "cpus": each.cpus, "gpus": each.gpus, "copied_bytes": each.copied_bytes}
            for each in plan.machines
        ]
        if plan.is_cluster
        else None,
        "seconds": _seconds(plan.hours),
        "disk_bytes": plan.disk_bytes,
        "free_bytes": plan.free_bytes,
        "fits_disk": fits_disk(plan),
        "sweeps": [_sweep_plan(sweep) for sweep in plan.sweeps],
    }


def _sweep_plan(plan: "SweepPlan") -> Fields:
    return {
        "name": plan.sweep.name,
        "trials": plan.trials,
        "trials_at_once": plan.at_once,
        "cpus_per_trial": plan.sweep.resources.cpus,
        "gpus_per_trial": plan.sweep.resources.gpus,
        "seconds": _seconds(plan.hours),
        "core_hours": _ends(plan.core_hours),
        "gpu_hours": _ends(plan.gpu_hours),
        "first_stop_epoch": plan.grace_epochs,
        "kept_bytes": plan.kept_bytes,
        "working_bytes": plan.working_bytes,
        "kinds": [_kind(kind) for kind in plan.kinds],
        "power": [_power(power) for power in plan.power],
    }


def _kind(kind: "Kind") -> Fields:
    cost = kind.cost
    return {
        "label": kind.label,
        "trials": kind.trials,
        "seconds_per_trial": cost.seconds,
        "setup_seconds": cost.setup_seconds,
        "memory_bytes": cost.memory_bytes,
        "gpu_allocated_bytes": cost.gpu_allocated_bytes,
        "gpu_reserved_bytes": cost.gpu_reserved_bytes,
        "stages": [_stage(stage) for stage in cost.stages],
    }


def _stage(stage: "StageCost") -> Fields:
    return {
        "name": stage.name,
        "epochs": stage.epochs,
        "steps_per_epoch": stage.steps,
        "seconds_per_step": stage.step_seconds,
        "seconds_per_epoch": stage.epoch_seconds,
        "validation_seconds_per_epoch": stage.validation_seconds,
        "final_seconds": stage.final_seconds,
    }


def _power(power: "Power") -> Fields:
    from analysis.stats.power import DISCORDANCE, luck_of_the_best

    models, settings = power.models, power.settings
    ends = list(zip(DISCORDANCE, power.seed_sd, strict=True))
    luck = [luck_of_the_best(power.candidates, power.val_clips, share, power.seeds, sd) for share, sd in ends]
    return {
        "test_clips": power.test_clips,
        "test_recordings": power.recordings or power.test_clips,
        "validation_clips": power.val_clips,
        "seeds": power.seeds,
        "settings": power.candidates,
        "detectable_model_difference": None if models is None else {"least": models[0], "most": models[1]},
        "detectable_setting_difference": None if settings is None else {"least": settings[0], "most": settings[1]},
        "chance_gain_of_best": {"least": luck[0], "most": luck[1]} if power.candidates > 1 else None,
    }


def _seconds(hours: "Hours") -> Mapping[str, float]:
    return {"shortest": 3600 * hours.shortest, "expected": 3600 * hours.expected, "longest": 3600 * hours.longest}


def _ends(span: "Span") -> Mapping[str, float]:
    return {"least": span.least, "most": span.most}
