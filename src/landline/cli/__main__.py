"""`python -m landline.cli`: the command line."""

from landline.cli.main import main

if __name__ == "__main__":
    main()
