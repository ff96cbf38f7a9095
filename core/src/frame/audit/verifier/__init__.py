"""What an auditor is handed beside an export: a program of one file that checks it without frame."""

from importlib.resources import files

NAME = "verify_export.py"


def program() -> bytes:
    """The text of the program."""
    return (files(__name__) / NAME).read_bytes()
