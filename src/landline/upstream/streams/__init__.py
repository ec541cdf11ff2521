"""Providers' streams, with fewer and larger events when the machine is busy: the HTTP clients under SDKs, and new ones."""

from landline.upstream.streams.clients import http_client, legacy_http_client
from landline.upstream.streams.fitting import Fitting, fit
from landline.upstream.streams.reach import clients_of

__all__ = ["Fitting", "clients_of", "fit", "http_client", "legacy_http_client"]
