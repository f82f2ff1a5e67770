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
