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
from placed_pieces as p
cross join unnest(array[concat('${site}', p.site), concat('${model}', p.model)]) as f (device)
where f.device is not null
