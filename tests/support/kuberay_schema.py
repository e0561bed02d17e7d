"""A strict schema of the parts of a RayJob that our manifests use: names, types, allowed values, nothing else.

KubeRay's own definition (ray.io_rayjobs.yaml in its Helm chart, 1 MB) comes with no package and is not copied here. This schema was
compared by hand with the reference of its API, which is generated from the same sources (KubeRay 1.6.2 and 1.7.1), and with the
types of `apis/ray/v1` for what is required. Pod templates are left to Kubernetes' own schema.
"""

from typing import Any

NAME = {"type": "string", "pattern": r"^[a-z]([a-z0-9-]*[a-z0-9])?$", "maxLength": 47}  # KubeRay's limit for a RayJob
COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
START_PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
POD = {"type": "object"}


def _strict(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


HEAD = _strict(
    ["template"],  # and rayStartParams until KubeRay 1.3
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]},
    enableIngress={"type": "boolean"},
    rayStartParams=START_PARAMETERS,
    template=POD,
)
WORKERS = _strict(
    ["groupName", "template", "minReplicas", "maxReplicas"],
    groupName={"type": "string"},
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    rayStartParams=START_PARAMETERS,
    template=POD,
)
CLUSTER = _strict(
    ["headGroupSpec"],
    rayVersion={"type": "string"},
    authOptions=_strict([], mode={"enum": ["disabled", "token"]}, secretName={"type": "string"}),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)
RAY_JOB = _strict(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=_strict(["name"], name=NAME),
    spec=_strict(
        [],
        entrypoint={"type": "string"},
        backoffLimit=COUNT,
        activeDeadlineSeconds={**COUNT, "minimum": 1},
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=COUNT,
        rayClusterSpec=CLUSTER,
    ),
)
