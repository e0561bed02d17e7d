"""Statistics: intervals, paired and corrected comparisons, power, claims, importance. Pure functions of arrays and frames.

Sections, settings and `study.planning` use them. They know nothing of MLflow and of pages.
"""
