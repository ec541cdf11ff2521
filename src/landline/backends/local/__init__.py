"""Files in a local folder, named by their content."""

from landline.backends.local.vault import LocalVault

__all__ = ["LocalVault"]
