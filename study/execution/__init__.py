"""The launch of a study: checks, Ray session, machines, sweeps, trials, and the end of all of them.

The command line calls `preflight` and `launch`; `trial` is what a worker runs. Ray is imported here and in `study.search` only.
"""
