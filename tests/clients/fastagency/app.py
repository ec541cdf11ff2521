"""FastAgency's page for the agents of Landline at BASE_URL, as its documents write it: `gunicorn --threads 4 app:app`."""

import os
from importlib import import_module
from typing import Any

# Not here but in the environment of this client, which type checkers do not see.
FastAgency: Any = import_module("fastagency").FastAgency
FastAPIProvider: Any = import_module("fastagency.adapters.fastapi").FastAPIProvider
MesopUI: Any = import_module("fastagency.ui.mesop").MesopUI

app: Any = FastAgency(
    provider=FastAPIProvider(fastapi_url=os.environ["BASE_URL"]), ui=MesopUI(), title="Landline"
)
