"""What a user can ask of frame, one function each. The command line and the Python API only translate."""

from frame.operations.run import run

__all__ = ["run"]
