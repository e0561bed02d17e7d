"""Studies: study files, launches with Ray Tune, Optuna's searches, MLflow records and the command line.

The root has what all rooms use: names, errors, console, machine, corpora.
"""
