"""The adapter for AG2 passes the published suite."""

from landline.testing.adapters import AdapterConformance
from tests.adapters.ag2_kit import AG2Kit


class TestAG2(AdapterConformance):
    kit = AG2Kit()
