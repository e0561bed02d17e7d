"""Studies: study files, launches with Ray Tune, Optuna's searches, MLflow records and the command line.

The root has what all rooms use: names, errors, console, machine, corpora.
"""

import acl_study  # noqa: F401 (decides where `acl` and `analysis` come from, in workers as in the command)
