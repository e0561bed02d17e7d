"""Files that start a study on a cluster: batch scripts for Slurm, manifests for KubeRay, files for `ray up`.

The command line calls `write` with a resolved study and a job of `slurm`, `kuberay` or `ray_up`. Nothing here starts anything.
"""
