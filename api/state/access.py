"""The one key that opens the API: both doors ask here, so that no door can forget how to compare."""

from __future__ import annotations

import secrets

from pydantic import SecretStr

from headwater.model.errors import StackError


class AccessKey:
    """Says whether a caller's key is ours, in constant time.

    Raises `StackError` at construction when no key is set: an API without a key would be open to everybody.
    """

    def __init__(self, key: SecretStr) -> None:
        self._key = key.get_secret_value().encode()
        if not self._key:
            raise StackError(
                "The API needs an access key, but HEADWATER_ACCESS_KEY is empty.",
                "set it, or start with `make up`, which makes one and keeps it in the state folder's run.env",
            )

    def opens(self, given: str | None) -> bool:
        """True if `given` is the key; None and anything else are refused."""
        return given is not None and secrets.compare_digest(given.encode("utf-8", "replace"), self._key)


def bearer(header: str | None) -> str | None:
    """The key in an `Authorization` header, or None if the header is missing or of another scheme."""
    scheme, _, key = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return None
    # Servers read headers as Latin-1, clients write them as UTF-8.
    return key.strip().encode("latin-1", "replace").decode("utf-8", "replace")
