"""The conformance suite for adapters: each test names the contract ids it stands for; what is not declared is skipped."""

from landline.testing.adapters.abilities import AbilityTests
from landline.testing.adapters.given import GivenTests
from landline.testing.adapters.recovery import RecoveryTests
from landline.testing.adapters.speech import SpeechTests
from landline.testing.adapters.stopping import StoppingTests
from landline.testing.adapters.wanted import WantedTests

__all__ = ["AdapterConformance"]


class AdapterConformance(SpeechTests, AbilityTests, GivenTests, WantedTests, RecoveryTests, StoppingTests):
    """Subclass it as `Test…` and set `kit`."""
