"""The upstream as a process: `python -m landline.testing.upstream --port 9000 --tokens 400 --interval-ms 20`.

Prints its base URL in one line when it listens, and stops on SIGINT or SIGTERM.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from landline.testing.upstream.plan import Defaults, Echo
from landline.testing.upstream.server import ScriptedUpstream

_REMEMBERED = 1_000  # a benchmark sends more requests than anyone looks at


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m landline.testing.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--tokens", type=int, default=0, help="pad every answer to this many tokens")
    parser.add_argument("--interval-ms", type=float, default=0.0, help="pause between two tokens")
    parser.add_argument("--first-token-ms", type=float, default=0.0, help="pause before the first token")
    parser.add_argument("--model", default=None, help="model name to report")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _signal, _frame: stop.set())
    defaults = Defaults(
        interval_s=options.interval_ms / 1000,
        first_token_after_s=options.first_token_ms / 1000,
        model=options.model,
    )
    with ScriptedUpstream(
        Echo(tokens=options.tokens), defaults=defaults, port=options.port, keep=_REMEMBERED
    ) as upstream:
        sys.stdout.write(f"{upstream.base_url}\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main()
