-- Forgets what is older than $1 (epoch ms), and of each device all but the newest $2 events.
delete from device_event
using (
    select
        tenant,
        device,
        at,
        id,
        row_number() over (partition by tenant, device order by at desc, id desc) as place
    from device_event
) as placed
where
    device_event.tenant = placed.tenant
    and device_event.device = placed.device
    and device_event.at = placed.at
    and device_event.id = placed.id
    and (placed.at < $1 or placed.place > $2)
