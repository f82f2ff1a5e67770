"""A device that nobody has registered registers itself, with a provisioning key of its model.

A request is `{"device": NAME}`, or `{"device": NAME, "token": TOKEN}` where the device makes its token itself. It then
may ask again with the same token as often as it has not read the answer: it is registered once. A name that another
device has is never given away, and no key opens a device that is registered.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from psycopg import Connection

from headwater import outbox
from headwater.clock import now_ms
from headwater.model.codec import VERSION, encode
from headwater.model.errors import BadRequest, Conflict, HeadwaterError, Refused
from headwater.model.event import DeviceEvent, Kind
from headwater.model.topics import DEVICE_EVENTS
from headwater.model.version import NEW
from headwater.registry import keys, store
from headwater.registry.credentials import give_only, good, new_token, token_sha256
from headwater.registry.entries import DEVICES
from headwater.registry.fields import name_of, take
from headwater.registry.keys import Key

USER = "provision"
"""MQTT: the user name of whoever comes with a provisioning key for a password. No device has it: it has no slash."""
REQUEST, RESPONSE = "provision/request", "provision/response"
"""MQTT: where such a client publishes its request, and where it reads the answer."""

MOST_BYTES = 4_096
"""Most bytes of a request."""

BAD_KEY, BAD_REQUEST, NAME_TAKEN = "bad-key", "bad-request", "name-taken"
_TOKEN = re.compile(r"[\x21-\x7e]{32,256}")
_DEAD = {"revoked": "was revoked", "expired": "has expired"}


class Provisioned(NamedTuple):
    """A device and its token; `made` is false if it was registered before, with this very token."""

    tenant: str
    device: str
    model: str
    token: str
    made: bool


class Refusal(NamedTuple):
    """Why there is no device: `reason` is bad-key, bad-request or name-taken."""

    reason: str
    detail: str


def of_key(key: Key | None) -> Refusal | None:
    """Why nobody gets in with a key; None if it is good, or used up: a device may ask again for its answer."""
    if key is None:
        return Refusal(BAD_KEY, "expected a provisioning key, got one that nobody has made; ask for one")
    if key.state in _DEAD:
        return Refusal(BAD_KEY, f"the provisioning key {key.id} {_DEAD[key.state]}; ask for another one")
    return None


def provision(conn: Connection[Any], key_sha256: str, given: object) -> Provisioned | Refusal:
    """Registers the device of a request, with its model and its only token, in a transaction or savepoint of its own.

    A refusal that names a device is an event of it (`refused`), written by this call: the caller commits in both cases.
    """
    key = keys.find(conn, key_sha256)
    refusal = of_key(key)
    if key is None or refusal is not None:
        return refusal or Refusal(BAD_KEY, "")
    device = ""
    try:
        device, token = _read(given)
        with conn.transaction():
            return _register(conn, key, key_sha256, device, token)
    except Refused as refused:
        no = Refusal(refused.reason, refused.detail)
    if device:
        _tell(conn, key, device, no)
    return no


def _read(given: object) -> tuple[str, str | None]:
    """The name and the token of a request, or None for the latter. Raises `Refused`."""
    if not isinstance(given, Mapping):
        raise Refused(BAD_REQUEST, 'expected a JSON object such as {"device": "boiler-7"}; send that')
    taken, faults = take(given, {"device": name_of("device"), "token": _token})
    if faults:
        raise Refused(BAD_REQUEST, "; ".join(f"{fault.field}: {fault.message}" for fault in faults))
    if "device" not in taken:
        raise Refused(BAD_REQUEST, "device: expected the name that the device is to have, got none; send it")
    return taken["device"], taken.get("token")


def _token(value: object) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        # Not in the fault as it came: it may be a good token with a slip.
        raise BadRequest("expected 32 to 256 visible ASCII characters, at random, or no token to be given one", "token")
    return value


def _register(conn: Connection[Any], key: Key, key_sha256: str, device: str, token: str | None) -> Provisioned:
    if store.find(conn, DEVICES, key.tenant, device) is not None:
        if token is None or not _is_its_own(conn, key.tenant, device, token):
            raise _taken(device)
        return Provisioned(key.tenant, device, key.model, token, made=False)
    conn.execute("select set_config('headwater.how', %s, true)", (f"with key {key.id} of model {key.model}",))
    try:
        store.save(conn, DEVICES, key.tenant, device, {"model": key.model}, NEW)
    except Conflict:
        raise _taken(device) from None
    except HeadwaterError as error:
        raise Refused(BAD_KEY, str(error)) from error
    token = token or new_token()
    give_only(conn, key.tenant, device, token)
    # Last, so that whoever waits for the key holds nothing that others want.
    if not keys.use(conn, key_sha256):
        uses = f"was for {key.most_uses} devices, which it has registered" if key.most_uses else "is not good any more"
        raise Refused(BAD_KEY, f"the provisioning key {key.id} {uses}; ask for another one")
    return Provisioned(key.tenant, device, key.model, token, made=True)


def _is_its_own(conn: Connection[Any], tenant: str, device: str, token: str) -> bool:
    digest = token_sha256(token)
    return any(hmac.compare_digest(one.token_sha256, digest) for one in good(conn, tenant, device))


def _taken(device: str) -> Refused:
    return Refused(
        NAME_TAKEN,
        f"expected the name of no device yet, got {device!r}, which is registered with another token; "
        "take another name, or have that device deleted (`headwater devices delete`)",
    )


def _tell(conn: Connection[Any], key: Key, device: str, no: Refusal) -> None:
    event = DeviceEvent(
        v=VERSION,
        tenant=key.tenant,
        device=device,
        kind=Kind.REFUSED.value,
        at=now_ms(),
        reason=no.reason,
        detail=f"with key {key.id} of model {key.model}: {no.detail}",
    )
    outbox.put(conn, DEVICE_EVENTS, f"{key.tenant}/{device}", encode(event))
