"""Manifests for KubeRay."""

import hashlib
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import PurePosixPath

from study.errors import StudyError
from study.jobs.nodes import ClusterShape, Nodes
from study.jobs.render import OBJECT_STORE_BYTES, Addresses, render
from study.spec.study import Study
from study.state.study_folder import study_text

RETRIES = 3  # each on a new cluster; what a study had failed trials for is tried again, too
MEMORY_OF_A_CPU = 4  # GiB, where nobody says how much
_LONGEST_NAME = 40  # KubeRay appends to it, and a label has 63 characters


@dataclass(frozen=True)
class KubeRayJob:
    """A RayJob as it is asked for.

    Attributes:
        image: of all pods; has acl-study and Ray in this environment's version.
        data: folder of the corpus in the pods, below `mount`.
        home: folder of the results in the pods; None for `runs` below `mount`.
        claim: name of the volume claim that is mounted at `mount`.
        mount: folder of the volume in the pods.
        shape: of the workers.
        memory: of each worker, in GiB.
        hours: after which everything is deleted; None for never.
        addresses: of records and of the state of trials.
    """

    image: str
    data: str
    home: str | None
    claim: str
    mount: str
    shape: ClusterShape
    memory: int | None
    hours: float | None
    addresses: Addresses

    @property
    def results(self) -> PurePosixPath:
        """Folder of the results in the pods."""
        return PurePosixPath(self.mount) / "runs" if self.home is None else PurePosixPath(self.home)


def kuberay_files(study: Study, nodes: Nodes, job: KubeRayJob) -> dict[str, str]:
    """The RayJob that runs the study, and a Dockerfile for its image.

    Raises:
        StudyError: the image's or the claim's name is none.
    """
    _check_names(job.image, job.claim)
    common = {"name": study.name, "image": job.image, "ray": metadata.version("ray"), "object": object_name(study.name)}

    def pod(container: str, cpus: int, gpus: int, gibibytes: int) -> str:
        sizes = {"cpus": cpus, "gpus": gpus, "memory": gibibytes}
        return render(
            "pod.yaml.jinja", container=container, claim=job.claim, mount=str(PurePosixPath(job.mount)), **sizes, **common
        )

    manifest = render(
        "rayjob.yaml.jinja",
        trials=study.runs,
        at_once=nodes.at_once(study),
        study_text=study_text(study),
        home=job.results,
        addresses=job.addresses,
        retries=RETRIES,
        deadline=None if job.hours is None else round(job.hours * 3600),
        nodes=nodes.count,
        cpus=nodes.cpus,
        gpus=nodes.gpus,
        memory=job.memory or MEMORY_OF_A_CPU * nodes.cpus,
        store_bytes=OBJECT_STORE_BYTES,
        pod=pod,
        **common,
    )
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return {f"{study.name}.yaml": manifest, f"{study.name}.Dockerfile": render("Dockerfile.jinja", python=python, **common)}


def _check_names(image: str, claim: str) -> None:
    if not re.fullmatch(r"[\w.:@/-]+", image, re.ASCII):
        raise StudyError(f"--image {image!r} is no image's name; e.g. --image registry.example.org/me/acl-study:1")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", claim):
        raise StudyError(f"--claim {claim!r} is no name of a PersistentVolumeClaim; `kubectl get pvc` lists them")


def object_name(study_name: str) -> str:
    """A study's name as Kubernetes takes it; where letters had to change, with digits that keep it apart from others.

    >>> object_name("table2-ssl"), object_name("Two_Heads")
    ('table2-ssl', 'two-heads-40b065')
    """
    name = re.sub(r"[^a-z0-9]+", "-", study_name.lower()).strip("-")
    if name == study_name and len(name) <= _LONGEST_NAME and name[0].isalpha():
        return name
    digits = hashlib.sha256(study_name.encode()).hexdigest()[:6]
    return f"{name if name[:1].isalpha() else f'study-{name}'}"[: _LONGEST_NAME - 7].rstrip("-") + f"-{digits}"
