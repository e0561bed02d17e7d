"""Files, locks, processes, memory and text: what a run needs of the machine, and no science.

All of `acl` and `study` may use it; `analysis` uses its text rules only. It imports nothing of the project.
"""
