"""What all tests share."""

pytest_plugins = ["landline.testing.adapters.matrix"]
