-- Packs appended after their pane was closed: they never enter the state, they ask for a correction.
insert into corrections (record_key, v, tenant, device, pane, metrics, `partition`, `offset`, log_time, stamp)
select
    concat(tenant, '/', device) as record_key,
    1 as v,
    tenant,
    device,
    pane,
    array_sort(map_keys(metrics)) as metrics,
    log_partition as `partition`,
    log_offset as `offset`,
    log_time,
    to_timestamp_ltz(log_time, 3) as stamp
from packs
where flaw is null
    and cardinality(metrics) > 0
    and log_time > pane + ${late_after}
