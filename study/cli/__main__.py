"""`python -m study.cli` is `acl-study`."""

from study.cli.app import main

main()
