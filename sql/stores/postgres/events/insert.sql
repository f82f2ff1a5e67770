-- Answers nothing new for a repeat. A device that nobody has registered makes no event by being refused.
insert into device_event (
    tenant, device, at, id, kind, reason, connection, client, address, protocol, session_present, detail
)
select
    given.tenant,
    given.device,
    given.at,
    given.id,
    given.kind,
    given.reason,
    given.connection,
    given.client,
    given.address,
    given.protocol,
    given.session_present,
    given.detail
from
    jsonb_to_recordset($1::jsonb)
        as given (
            tenant text, device text, at bigint, id text, kind text, reason text, connection bigint, client text,
            address text, protocol text, session_present boolean, detail text
        )
where
    given.at >= $2
    and (
        given.kind <> 'refused'
        or exists (
            select 1
            from device
            where
                device.tenant = given.tenant
                and device.device = given.device
        )
    )
on conflict do nothing
