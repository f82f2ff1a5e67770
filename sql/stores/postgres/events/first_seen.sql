-- Answers which devices are new, and puts an event of each into the outbox: it comes back with the id that it has here.
with seen as (
    insert into device_first_seen (tenant, device, at)
    select
        given.tenant,
        given.device,
        min(given.at) as at
    from jsonb_to_recordset($1::jsonb) as given (tenant text, device text, kind text, at bigint)
    where given.kind = 'connected'
    group by given.tenant, given.device
    on conflict do nothing
    returning tenant, device, at
),

told as (
    insert into outbox (topic, key, value)
    select
        'device-events' as topic,
        seen.tenant || '/' || seen.device as key,
        jsonb_build_object(
            'v', 1,
            'tenant', seen.tenant,
            'device', seen.device,
            'kind', 'first-seen',
            'at', seen.at
        )::text as value
    from seen
)

select
    seen.tenant,
    seen.device,
    seen.at
from seen
