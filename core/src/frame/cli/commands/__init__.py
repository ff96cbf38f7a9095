"""The subcommands of `frame`, one a module; each imports what it calls when it is called."""
