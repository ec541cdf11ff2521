"""The entry point. It imports nothing heavy: `--version` is answered here, everything else loads what it needs."""

import sys

from landline import __version__

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave the process with one of the codes of `landline.cli.exits`."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"landline {__version__}")
        return
    from landline.cli.root import app
    from landline.cli.stops import explain, warn

    try:
        app(prog_name="landline")
    except Exception as error:  # what the owner can mend is said in four lines, the rest keeps its traceback
        if (problem := explain(error)) is None:
            raise
        warn(problem)
        sys.exit(problem.exit_code)


if __name__ == "__main__":
    main()
