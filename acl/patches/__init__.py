"""Patches: fixed-length excerpts of clips, cut from the feature store, put on the device and normalised.

Stages of training and exported models use them.
"""
