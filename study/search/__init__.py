"""How a sweep's points are found and its trials stopped: Optuna's searches and Ray's schedulers as a sweep configures them.

`study.execution` uses them; a study file's side of them is in `study.spec`.
"""
