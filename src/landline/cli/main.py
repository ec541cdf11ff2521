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
    except Exception as error:  # noqa: BLE001 - what the owner can mend is said in four lines, the rest keeps its traceback
        if (problem := explain(error)) is None:
            _tell(error)
            sys.exit(1)
        warn(problem)
        sys.exit(problem.exit_code)


def _tell(error: Exception) -> None:
    """Write the traceback of an error of our own as Python would, but for credentials in it (TRU-17)."""
    import traceback

    from landline.model.redaction import redacted

    sys.stderr.write(redacted("".join(traceback.format_exception(error))))


if __name__ == "__main__":
    main()
