"""The checks of `acl-study doctor`: this machine, its tools, and what a profile amounts to.

The command line calls `report` and `installation`.
"""
