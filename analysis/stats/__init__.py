"""Statistics: intervals, paired and corrected comparisons, power, claims, importance. Pure functions of arrays and frames.

All rooms above and `study` use them. They know nothing of MLflow and of pages.
"""
