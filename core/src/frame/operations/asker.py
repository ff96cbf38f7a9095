"""Who asks for something that goes on record."""

import getpass
import os
import socket


def asker() -> str:
    """The user and the machine, as in ada@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
