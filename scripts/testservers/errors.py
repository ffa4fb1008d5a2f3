"""Errors that carry the sentence their reader sees."""


class ServersError(Exception):
    """Something went wrong; the command prints the message and exits with `code`."""

    code = 1


class UsageError(ServersError):
    """The command cannot be carried out as given, or a program it needs is missing."""

    code = 2
