"""Nodes and sinks whose every effect the crash harness can count."""
