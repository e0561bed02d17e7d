"""The science: losses, features, views, networks, training and evaluation.

It knows nothing of Ray, Optuna, MLflow, pandas and Plotly, and works without them.
"""
