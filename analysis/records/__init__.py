"""MLflow, as it is read: runs as tidy frames, predictions, provenance, and a cache of runs that are over.

`analysis.runs` has the functions that people import; the report and the commands about results read through this package.
"""
