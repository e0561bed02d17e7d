"""Where the runs of a report can be looked at; never with the password of a store."""

from urllib.parse import urlsplit

_SERVER = ("http", "https")


def run_address(store_uri: str, experiment_id: str, run_id: str) -> str:
    """Page of a run on its tracking server; empty where the store is no server.

    >>> run_address("https://me:secret@mlflow.example:5000/base/", "3", "ab12")
    'https://mlflow.example:5000/base/#/experiments/3/runs/ab12'
    >>> run_address("sqlite:////home/me/mlflow.db", "3", "ab12")
    ''
    """
    store = urlsplit(store_uri)
    if store.scheme not in _SERVER:
        return ""
    return f"{_without_password(store_uri)}/#/experiments/{experiment_id}/runs/{run_id}"


def store_in_words(store_uri: str) -> str:
    """What the store is, and how its runs are opened.

    >>> store_in_words("http://me:secret@mlflow.example")
    'The records are on the MLflow server http://mlflow.example; run ids are links.'
    >>> store_in_words("postgresql://me:secret@host/db")
    'The records are in a postgresql store; browse them with `acl-study ui`, where a run is found by its id.'
    """
    scheme = urlsplit(store_uri).scheme
    if scheme in _SERVER:
        return f"The records are on the MLflow server {_without_password(store_uri)}; run ids are links."
    kind = "a SQLite file" if scheme == "sqlite" else f"a {scheme or 'file'} store"
    return f"The records are in {kind}; browse them with `acl-study ui`, where a run is found by its id."


def _without_password(store_uri: str) -> str:
    """The store's address; user, password, query and fragment, which may hold a token, are left out.

    >>> _without_password("postgresql://me:secret@host/db"), _without_password("sqlite:////home/me/mlflow.db")
    ('postgresql://host/db', 'sqlite:////home/me/mlflow.db')
    """
    store = urlsplit(store_uri)
    return f"{store.scheme}://{store.netloc.rpartition('@')[2]}{store.path.rstrip('/')}"
