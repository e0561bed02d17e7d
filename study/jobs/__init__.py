"""Files that start a study on a cluster: batch scripts for Slurm, manifests for KubeRay, files for `ray up`.

The command line calls `write`; it receives a resolved study. Nothing here starts anything.
"""
