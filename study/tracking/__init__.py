"""MLflow, as it is written: stores, the records of studies, models and reports, and the server.

`mirror` keeps the records up to date while a study runs. `analysis.records` reads what is written here.
"""
