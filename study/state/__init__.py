"""Files below the results folder: the launched study, its lock, journals of its sweeps, the state of its trials.

Everything that runs or reads studies uses them; they import `study.spec`, the root and `acl.system`.
"""
