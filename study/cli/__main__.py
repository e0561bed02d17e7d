"""`python -m study.cli` is `acl-study`."""

from acl_study import main

if __name__ == "__main__":
    main()
