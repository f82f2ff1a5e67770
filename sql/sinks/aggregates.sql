-- The row of each pane, of devices or of fleets, published again with every change. A row without a reading can only
-- stand for lost state (its first packs expired, a resend came); its zeros carry the lowest version, so no reader takes
-- it.
insert into processed_data (
    v, tenant, device, metric, pane, generation, `count`, `sum`, sum_sq, `min`, `max`, first_ms, last_ms, `last`, as_of,
    received, dup, stamp
)
select
    1 as v,
    tenant,
    device,
    metric,
    pane,
    ${generation} as generation,
    n as `count`,
    s as `sum`,
    sq as sum_sq,
    coalesce(least_value, 0e0) as `min`,
    coalesce(greatest_value, 0e0) as `max`,
    coalesce(first_ms, pane) as first_ms,
    coalesce(last_ms, pane) as last_ms,
    coalesce(cast(trim(right(last_text, 25)) as double), 0e0) as `last`,
    as_of,
    received,
    dup,
    to_timestamp_ltz(as_of, 3) as stamp
from (
    select
        tenant,
        device,
        metric,
        pane,
        sum(n) as n,
        sum(s) as s,
        sum(sq) as sq,
        min(least_value) as least_value,
        max(greatest_value) as greatest_value,
        min(first_ms) as first_ms,
        max(last_ms) as last_ms,
        max(last_text) as last_text,
        max(log_time) as as_of,
        max(received) as received,
        sum(dup) as dup
    from ${pieces}
    group by tenant, device, metric, pane
) as panes
