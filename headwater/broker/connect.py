"""A CONNECT and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Code(Enum):
    """The answer to a CONNECT, by the names of HiveMQ's `ConnackReasonCode`."""

    SUCCESS = "SUCCESS"
    BAD_USER_NAME_OR_PASSWORD = "BAD_USER_NAME_OR_PASSWORD"  # noqa: S105 - a reason, not a secret
    CLIENT_IDENTIFIER_NOT_VALID = "CLIENT_IDENTIFIER_NOT_VALID"
    NOT_AUTHORIZED = "NOT_AUTHORIZED"
    SERVER_UNAVAILABLE = "SERVER_UNAVAILABLE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    CONNECTION_RATE_EXCEEDED = "CONNECTION_RATE_EXCEEDED"


class Session(Enum):
    """What the broker has of a client id."""

    NONE = "none"
    KEPT = "kept"
    CONNECTED = "connected"


@dataclass(frozen=True)
class Connect:
    """What a client says of itself. `expiry_s` is how long it wants its session kept; `address` its IP address."""

    client_id: str
    user: str
    password: str
    clean_start: bool
    expiry_s: int = 0
    address: str = ""


@dataclass(frozen=True)
class Verdict:
    """Let in or not and why, and the topic filters it may publish and subscribe to; `never_publish` goes first."""

    code: Code
    text: str = ""
    publish: list[str] = field(default_factory=list)
    subscribe: list[str] = field(default_factory=list)
    never_publish: list[str] = field(default_factory=list)
    device: tuple[str, str] | None = None
    """Whose connection it is; None for the bridge, for whoever is refused, and for whoever has yet to be registered."""
    key_sha256: str = ""
    """The provisioning key that it came with."""
