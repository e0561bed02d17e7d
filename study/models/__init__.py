"""Trained models to use elsewhere: export with a model card, embeddings of audio files.

The command line and `study.results.publish` call them.
"""
