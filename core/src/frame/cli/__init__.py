"""The `frame` command: parse, call one operation, print.

main        the command and its subcommands, imported when they are named
commands/   one module a subcommand
rendering/  results as text for people
exit_codes, failures, signals, output, options    what the subcommands share
"""
