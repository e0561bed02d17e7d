"""The science: losses, features, views, networks, training and evaluation, with torch and numpy alone.

It knows nothing of Ray, Optuna, MLflow, pandas and Plotly, and works without them.
"""
