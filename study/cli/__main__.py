"""`python -m study.cli` is `acl-study`."""

from study.cli.app import main

if __name__ == "__main__":
    main()
