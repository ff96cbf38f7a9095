"""Where secrets are fetched from that are neither in the environment nor in a file."""

from typing import ClassVar


class SecretProvider:
    """Fetches secrets, as from a vault. `${secret:NAME:PATH}` in a pipeline asks the provider called NAME for PATH.

    It is made anew for each run, without arguments, and asked once for each secret; what it needs itself (an
    address, a token) it takes from its environment. A package offers it through the hook `frame_secret_providers`.
    """

    name: ClassVar[str]

    def read(self, path: str) -> str:
        """The secret at `path`, which is whatever the provider says that it is.

        Raise LookupError if there is no such secret. Anything else that is raised is shown to the user, so a message
        must not have a secret in it.
        """
        raise NotImplementedError
