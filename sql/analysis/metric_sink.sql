-- A metric's query onto processed-data, in the form that all rows there have. What no store could hold is left out.
-- The unnest of one element is a barrier: a condition on the value that went down into a query by rank would hide from
-- the planner that it is one.
insert into processed_data (
    v, tenant, device, metric, pane, generation, `count`, `sum`, sum_sq, `min`, `max`, first_ms, last_ms, `last`, as_of,
    received, dup, stamp
)
select
    1 as v,
    tenant,
    device,
    '${metric}' as metric,
    pane,
    cast(generation + ${revision} as int) as generation,
    n as `count`,
    n * `value` as `sum`,
    n * `value` * `value` as sum_sq,
    `value` as `min`,
    `value` as `max`,
    pane as first_ms,
    least(pane + 9999, greatest(as_of, pane)) as last_ms,
    `value` as `last`,
    as_of,
    received,
    cast(0 as bigint) as dup,
    to_timestamp_ltz(as_of, 3) as stamp
from metric_rows
cross join unnest(array[`value`]) as u (told)
where tenant is not null
    and device is not null
    and told between -1e100 and 1e100
    and n > 0
    and pane >= ${first_pane}
    and mod(pane, 10000) = 0
