"""The one base of every error a user can cause; anything else that escapes is a bug of ours."""


class CausalcError(Exception):
    """Bad input: the message says where, why and what to do, and needs no traceback.

    ``str(error)`` is the whole message, ready to print.
    """

    exit_code = 1


class RunFailed(CausalcError):
    """A run stopped before its end; what it finished is kept and the same command resumes it."""

    exit_code = 3
