"""Results of a launched study: how far it is, winners by validation, verdicts, confirmation on fresh seeds, publication.

The command line shows them. They are read from the study's folder and from MLflow; verdicts come from `analysis`.
"""
