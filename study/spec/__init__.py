"""What a study file says: fields, search spaces, schedulers, profiles, and how a file becomes a checked study.

Every room uses it; it imports settings, features and text rules of `acl`, and the root of `study`. Nothing here runs anything.
"""
