"""Answers: MLflow's records as frames, statistics, tables and figures, and the report. No torch and no Ray.

Of `study` it imports the names of records, of `acl` the rules for text.
"""
