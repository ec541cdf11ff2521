"""FastAgency's own provider drives agents of Landline at BASE_URL, with ConsoleUI and with MesopUI; exits with 0 when all held."""

from __future__ import annotations

import console
import page


def main() -> None:
    """See the module."""
    print(f"{console.check() + page.check()} passed, 0 failed")


if __name__ == "__main__":
    main()
