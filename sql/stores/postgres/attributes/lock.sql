-- By name, as everybody locks devices who changes many.
select 1
from device
inner join
    jsonb_to_recordset($1::jsonb) as given (tenant text, device text)
    on device.tenant = given.tenant and device.device = given.device
order by device.tenant, device.device
for no key update of device
