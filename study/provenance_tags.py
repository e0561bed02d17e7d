"""What a trial's numbers come from, as tags of its run."""

from collections.abc import Mapping, Sequence
from typing import Any

from study import record_names as names


def provenance_tags(launches: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags of a trial; where launches differ, every value once, in their order."""
    values: dict[str, dict[str, None]] = {}
    for launch in launches:
        if "code" not in launch:  # an entry that could not be read
            continue
        code, hardware = launch["code"], launch["hardware"]
        gpu = f"{hardware['gpu']['name']} ({hardware['gpu']['memory_gib']} GiB)" if hardware["gpu"] else "no GPU"
        tags = {
            names.GIT_COMMIT: code["git_commit"] or f"none ({code['no_commit_because']})",
            names.GIT_DIRTY: "unknown" if code["git_dirty"] is None else str(code["git_dirty"]).lower(),
            names.VERSIONS: ", ".join(f"{name} {version}" for name, version in launch["versions"].items()),
            names.HARDWARE: f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB, {gpu}",
            names.GPU_SHARE: f"{launch.get('gpu_share', 0):g}",
            names.CORPUS_SHA256: launch["corpus_sha256"],
            names.CLIPS_LEFT_OUT: str(launch.get("clips_left_out", 0)),
            names.FEATURES_SHA256: launch["features_sha256"],
        }
        if code["git_commit"]:
            tags[names.MLFLOW_COMMIT] = code["git_commit"]
        for name, value in tags.items():
            values.setdefault(name, {})[value] = None
    return {name: "; ".join(each) for name, each in values.items()}
