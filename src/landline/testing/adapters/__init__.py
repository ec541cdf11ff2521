"""The suite every adapter passes, Landline's own and strangers' alike.

    class TestMine(AdapterConformance):
        kit = MyKit()

A kit makes the same small agents in the adapter's framework; the suite drives them through an in-memory line.
"""

from landline.testing.adapters.grammar import check_grammar
from landline.testing.adapters.kit import AdapterKit, ToolBox
from landline.testing.adapters.suite import AdapterConformance

__all__ = ["AdapterConformance", "AdapterKit", "ToolBox", "check_grammar"]
