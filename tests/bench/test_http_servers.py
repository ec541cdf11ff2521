"""The table of HTTP servers has a row for each that is installed, with ratios to the one Landline runs on (PRF-11)."""

import pytest

from bench import http_servers


@pytest.mark.contract("PRF-11")
def test_every_installed_server_has_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert http_servers.main(["--rounds", "1", "--tiny"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) >= 4
    assert rows[0].startswith("uvicorn, uvloop, httptools")
    assert rows[0].count("(1.00)") == 2
    assert all(float(row.split("(")[1].split(")")[0]) > 0 for row in rows)
