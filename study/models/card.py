"""The model card of an exported model: what it is, what it learned from, how well it did, and what that does not show."""

from dataclasses import dataclass
from typing import Any

import yaml

from acl.config import SELF_SUPERVISED, build_config, flatten
from acl.deviations import deviations
from acl.metric_names import PLACE_SETTINGS
from acl.training.selected_weights import SelectedWeights
from analysis.formats import percent
from analysis.records.runs import FoundTrial
from analysis.stats.intervals import wilson_interval
from study import names

CARD_FILE = "README.md"
FSDNOISY18K = "FSDnoisy18k"
_PAPER = "https://arxiv.org/abs/2211.05442"
_FSDNOISY18K_LICENCE = (
    "FSDnoisy18k (https://zenodo.org/record/2529934) is released under CC BY as a whole; each of its clips comes from Freesound "
    "under CC BY or CC0, named in the file LICENSE-INDIVIDUAL-CLIPS of the corpus. CC BY asks for attribution."
)
_SYNTHETIC_LICENCE = (
    "The corpus is synthetic: acl-study computed every clip, there are no recordings and no third party's rights in it."
)
_OTHER_LICENCE = "acl-study does not know the licence of this corpus; whoever passes the weights on has to check it."
_EVALUATIONS = {"supervised": {"CNN": ""}, SELF_SUPERVISED: {"linear evaluation": "", "kNN": "knn_"}}


@dataclass(frozen=True)
class ExportedTrial:
    """What is known of an exported trial.

    Attributes:
        trial: its run in the records.
        selected: its weights and figures.
        launches: what trained it, launch by launch.
        about: content of config.json.
        classes: names of the classes.
    """

    trial: FoundTrial
    selected: SelectedWeights
    launches: list[dict[str, Any]]
    about: dict[str, Any]
    classes: tuple[str, ...]


def model_card(exported: ExportedTrial, folder: str) -> str:
    """Markdown with the YAML front matter of Hugging Face's model cards.

    Args:
        exported: what is known of the trial.
        folder: name of the folder, for the example.
    """
    sections = [
        ("", _what_it_is(exported)),
        ("## Use", _use(exported, folder)),
        ("## Accuracy", _accuracy(exported)),
        ("## Training data", _data(exported)),
        ("## Training", _training(exported)),
        ("## Departures from the published recipe", _departures(exported)),
        ("## Provenance", _provenance(exported)),
    ]
    front = yaml.safe_dump(_front_matter(exported), sort_keys=False, allow_unicode=True, width=120)
    body = "\n\n".join(f"{heading}\n\n{text}".strip() for heading, text in sections)
    return f"---\n{front}---\n\n# {_title(exported)}\n\n{body}\n"


def _title(exported: ExportedTrial) -> str:
    trial = exported.trial
    return f"{trial.study}, {trial.sweep}, trial {trial.trial_id}"


def _classifies(exported: ExportedTrial) -> bool:
    return exported.selected.config.mode != SELF_SUPERVISED or bool(exported.selected.classifier)


def _front_matter(exported: ExportedTrial) -> dict[str, Any]:
    corpus = exported.about["corpus"]
    task = "audio-classification" if _classifies(exported) else "feature-extraction"
    front: dict[str, Any] = {
        "license": "unknown",
        "library_name": "acl-study",
        "pipeline_tag": task,
        "tags": ["audio", "audio-embeddings", "angular-contrastive-loss", exported.selected.config.mode],
        "metrics": ["accuracy"],
    }
    share = exported.selected.figures.get(names.TEST_ACCURACY)
    if share is not None:
        dataset = {"name": corpus["name"], "type": "synthetic" if corpus["is_synthetic"] else "audio", "split": "test"}
        metric = {"type": "accuracy", "value": round(share, 4), "name": f"accuracy on {corpus['clips']['test']} test clips"}
        result = {"task": {"type": "audio-classification"}, "dataset": dataset, "metrics": [metric]}
        front["model-index"] = [{"name": _title(exported), "results": [result]}]
    return front


def _what_it_is(exported: ExportedTrial) -> str:
    config, about = exported.selected.config, exported.about
    if config.mode == SELF_SUPERVISED:
        network = f"ResNet-18 encoder (width {flatten(config)['model.width']}), pre-trained with angular contrastive loss"
        classifier = ", and the linear classifier of its linear evaluation" if exported.selected.classifier else ""
    else:
        loss = "cross-entropy alone" if flatten(config)["loss.alpha"] == 1 else "cross-entropy and angular margin"
        network, classifier = f"CNN of FSDnoisy18k's baseline, trained with {loss}", ", classifier included"
    return (
        f"{network}{classifier}. It turns audio of any length into {about['embedding_dim']} numbers. Trained with acl-study, "
        f"a study of the loss of [Wang, Tripathy and Mesaros]({_PAPER}).\n\n{_state(exported)}"
    )


def _state(exported: ExportedTrial) -> str:
    selected, about = exported.selected, exported.about
    epochs = selected.config.optim.epochs
    if selected.is_tested:
        return f"Validation selected the weights of epoch {selected.epoch} of {epochs}."
    # The record may lag behind the training by a moment; the state is what counts.
    ended = "stopped" if about["outcome"] == names.STOPPED else f"{about['outcome']}, last seen"
    return (
        f"**The training is not complete: {ended} after epoch {selected.epochs_trained} of {epochs}, not tested.** These are the "
        f"weights of epoch {selected.epoch}, the best on validation so far."
    )


def _use(exported: ExportedTrial, folder: str) -> str:
    files = "\n".join(f"- `{file}`: sha256 `{digest}`" for file, digest in exported.about["sha256"].items())
    classify = (
        "\nprobabilities = model.analyse(waveform, sample_rate).probabilities  # of model.classes" if _classifies(exported) else ""
    )
    return f"""With acl-study installed:

    acl-study embed {folder} recordings/ --out embeddings.npz

```python
import soundfile
from acl.exported import load_exported

model = load_exported("{folder}")
waveform, sample_rate = soundfile.read("recording.wav")  # one channel, any rate: resampled and scaled as in training
embedding = model.embed(waveform, sample_rate)  # [{exported.about["embedding_dim"]}], the mean over its patches{classify}
```

The weights are plain safetensors, `config.json` has front end, patches and normalisation, `labels.json` the class names.

{files}"""


def _accuracy(exported: ExportedTrial) -> str:
    selected, clips = exported.selected, exported.about["corpus"]["clips"]
    rows = ["| evaluation | clips | accuracy | 95 % interval |", "|---|---|---|---|"]
    for split, name in (("val", "validation"), ("test", "test")):
        for evaluation, prefix in _EVALUATIONS[selected.config.mode].items():
            share = selected.figures.get(f"{split}.{prefix}accuracy")
            if share is not None:
                low, high = wilson_interval(share, clips[split])
                rows.append(f"| {evaluation} | {clips[split]} {name} | {percent(share)} % | {percent(low)} – {percent(high)} % |")
    table = "\n".join(rows)
    published = flatten(selected.config).get("probe.protocol") == "published"
    note = (
        " Linear evaluation by the published protocol changes the encoder's BatchNorm statistics while it trains, so its figures "
        "are those of another encoder than this one and are left out."
        if published and selected.is_tested
        else ""
    )
    return f"""{table}

Shares of clips, with Wilson's interval, which is about the choice of clips alone. Validation clips selected the epoch, and perhaps
this trial among others, so their figures are optimistic. This is one training, with seed {selected.config.seed}: trainings with
other seeds differ, often by as much as published gains, and one seed's test figure is no claim of superiority.{note}"""


def _data(exported: ExportedTrial) -> str:
    corpus = exported.about["corpus"]
    if corpus["is_synthetic"]:
        licence = _SYNTHETIC_LICENCE + " Figures on it say nothing about real sounds."
    else:
        licence = _FSDNOISY18K_LICENCE if corpus["name"].partition(",")[0] == FSDNOISY18K else _OTHER_LICENCE
    clips = corpus["clips"]
    return f"""{corpus["name"].replace("<", "&lt;")}: {clips["train"]} training clips with labels, {clips["val"]} validation clips,
{clips["test"]} test clips, {len(exported.classes)} classes. {licence}

The licence of these weights is for whoever publishes them to choose; `license` above says unknown until then.

- sha256 of the corpus (labels, flags, audio): `{corpus["corpus_sha256"]}`
- sha256 of its features: `{corpus["features_sha256"]}`"""


def _training(exported: ExportedTrial) -> str:
    settings = exported.about["settings"]
    return "| setting | value |\n|---|---|\n" + "\n".join(f"| `{name}` | {value} |" for name, value in settings.items())


def _departures(exported: ExportedTrial) -> str:
    config = exported.selected.config
    recipe = flatten(build_config({"mode": config.mode, "data.root": config.data.root}))
    changed = [
        f"- `{name}` is {value} (recipe: {recipe[name]})"
        for name, value in flatten(config).items()
        if value != recipe[name] and name not in PLACE_SETTINGS
    ]
    code = [
        f"- {entry.topic}. Published: {entry.published}. Here: {entry.here}. Because: {entry.why}." for entry in deviations(config)
    ]
    settings = "\n".join(changed) or "- none"
    return f"Settings that are not the recipe's:\n\n{settings}\n\nWhere acl-study differs from the published code:\n\n" + "\n".join(
        code
    )


def _provenance(exported: ExportedTrial) -> str:
    trial = exported.trial
    lines = [f"- study `{trial.study}`, sweep `{trial.sweep}`, trial `{trial.trial_id}`, MLflow run `{trial.run_id}`"]
    return "\n".join([*lines, *(f"- {_launch(launch)}" for launch in exported.launches)])


def _launch(launch: dict[str, Any]) -> str:
    try:
        code, hardware = launch["code"], launch["hardware"]
        commit = code["git_commit"] or f"none ({code['no_commit_because']})"
        changed = " with changes that were not committed" if code["git_dirty"] else ""
        versions = ", ".join(f"{name} {version}" for name, version in launch["versions"].items())
        gpu = hardware["gpu"]["name"] if hardware["gpu"] else "no GPU"
        return (
            f"from epoch {launch['from_epoch']}, {launch['started']}: acl-study {code['version']}, commit {commit}{changed}; "
            f"{versions}; {hardware['cpu']}, {hardware['cores']} cores, {gpu}; trained on {launch['device']}"
        )
    except (KeyError, TypeError, AttributeError):  # of a damaged file
        return "a launch of which nothing can be read"
