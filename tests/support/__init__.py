"""Helpers of the tests: small corpora, studies without training, servers, cluster nodes and ways to kill a launch.

A module that two or more test files need lies here; slow reference implementations lie in `reference`."""
