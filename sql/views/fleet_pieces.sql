-- What each pack adds to the rows of its fleets: the site and the model that its device had when Kafka appended it. A
-- device that was not known then, or had none, adds to none. Copies count in the rows of devices alone. Of the newest
-- values of one stamp the last one is that of the device whose name is the largest; chr(1) ends a name, so that one
-- which begins like another comes after it.
create temporary view fleet_pieces as
select
    p.tenant,
    f.device,
    p.metric,
    p.pane,
    p.received,
    p.log_time,
    p.n,
    cast(0 as int) as dup,
    p.s,
    p.sq,
    p.least_value,
    p.greatest_value,
    p.first_ms,
    p.last_ms,
    concat(substring(p.last_text from 1 for 4), p.device, chr(1), substring(p.last_text from 5)) as last_text
from pieces as p
inner join registry for system_time as of p.appended as g
    on p.tenant = g.tenant and p.device = g.device
cross join unnest(array[concat('${site}', g.site), concat('${model}', g.model)]) as f (device)
where p.n > 0
    and f.device is not null
