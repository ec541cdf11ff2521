"""An instrument: Landline beside a bare server and a lean relay, measured in one run (docs/contract/performance.md)."""
