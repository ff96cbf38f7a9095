"""The record as an auditor reads it."""

VIEWS: dict[str, str] = {}
