"""Tests of `landline.gates`."""
