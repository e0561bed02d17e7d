"""What a study file says: fields, search spaces, schedulers, profiles, and how a file becomes a checked study.

Every room uses it; it imports only `acl.config` and the root of `study`. Nothing here runs anything.
"""
