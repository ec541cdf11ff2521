"""Tests of the source itself: who imports whom, house rules, public names, the requirement ledger."""
