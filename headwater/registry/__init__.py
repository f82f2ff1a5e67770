"""Tenants, sites, models, devices and their tokens, in PostgreSQL: who may send, and what is known of them.

`names` what they may be called, `credentials` tokens, `fields` and `entries` what a change may say, `store` the changes
with their versions, `search` lists of devices, `history` what a device was, `tenants` who owns it all, `files` import
and export. Every change of a device writes its record for `device-registry` into the outbox, and keeps it as a version,
by triggers of the database (sql/stores/postgres).
"""

from headwater.registry.credentials import (
    Credential,
    all_good,
    give_only,
    good,
    issued,
    new_token,
    revoke,
    rotate,
    token_sha256,
)
from headwater.registry.names import MAX_NAME, check_name
from headwater.registry.simple import NewDevice, add_device, add_devices, add_tenant

__all__ = [
    "MAX_NAME",
    "Credential",
    "NewDevice",
    "add_device",
    "add_devices",
    "add_tenant",
    "all_good",
    "check_name",
    "give_only",
    "good",
    "issued",
    "new_token",
    "revoke",
    "rotate",
    "token_sha256",
]
