"""Plans: what a study costs on this machine or cluster before it is launched, and what it can find out.

The command line calls `check`, jobs ask for hours. It measures with `acl.training.timing` and records nothing.
"""
