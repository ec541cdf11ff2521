"""What the gates cost one request in CPU, as JSON by metric (PRF-9): the figures of `bench.sign_in` and `bench.limits`.

python -m bench.costs
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from bench import limits, sign_in

__all__ = ["main"]


def main() -> None:
    """Measure and print. `sign_in_us` is the dearest way in: the whole door."""
    with tempfile.TemporaryDirectory() as folder:
        doors = asyncio.run(sign_in.costs_us(Path(folder)))
    without, having = asyncio.run(limits.cost_us())
    sys.stdout.write(json.dumps({"sign_in_us": max(doors.values()), "limits_us": having - without}) + "\n")


if __name__ == "__main__":
    main()
