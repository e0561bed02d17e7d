"""The command line, `acl-study`: one module for each group of commands. Nothing else imports it.

Heavy imports stay inside the commands, so that --help answers at once; `resolve` makes a study of options, `run` launches it.
"""

from acl_study import main

__all__ = ["main"]
