"""The table of the adapter suite, in whatever session of pytest it is a plugin of."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.contract("REL-15")
@pytest.mark.parametrize(("body", "code"), [("assert True", 0), ("assert False", 1)])
def test_a_session_without_pytests_cache_ends_as_its_tests_do(tmp_path: Path, body: str, code: int) -> None:
    """The plants run like that; an error of the plugin's own would look like a test that failed."""
    (tmp_path / "test_one.py").write_text(f"def test_one():\n    {body}\n", encoding="utf-8")
    plugins = ["-p", "no:cacheprovider", "-p", "landline.testing.adapters.matrix"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rf",
        *plugins,
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("FAILED test_one.py::test_one" in done.stdout) is bool(code)
    assert "Traceback" not in done.stdout + done.stderr
