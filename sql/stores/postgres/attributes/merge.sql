-- Puts what devices say beside what they have said; null takes a name away. Answers the devices of which nothing was
-- taken, and whether they are registered.
with given as (
    select
        given.tenant,
        given.device,
        given.attributes
    from jsonb_to_recordset($1::jsonb) as given (tenant text, device text, attributes jsonb)
),

merged as (
    select
        given.tenant,
        given.device,
        device.device is not null as known,
        jsonb_strip_nulls(coalesce(device.attributes -> 'client', '{}') || given.attributes) as client
    from given
    left join device on given.tenant = device.tenant and given.device = device.device
),

judged as (
    select
        merged.tenant,
        merged.device,
        merged.known,
        merged.client,
        merged.known
        and (select count(*) from jsonb_object_keys(merged.client)) <= $2
        and octet_length(merged.client::text) <= $3 as taken
    from merged
),

changed as (
    update device
    set attributes = jsonb_set(device.attributes, '{client}', judged.client)
    from judged
    where
        device.tenant = judged.tenant
        and device.device = judged.device
        and judged.taken
        and coalesce(device.attributes -> 'client', '{}') is distinct from judged.client
)

select
    tenant,
    device,
    known
from judged
where not taken
