"""Corpora and their audio: layouts, manifests, archives, downloads, verification, and the synthetic corpus.

`acl.store` reads them; `study.corpora` and `study.doctor` show them.
"""
