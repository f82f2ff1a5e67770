-- The rows of some devices over some spans of panes, folded from the readings: one row a (tenant, device, metric, pane).
-- `spans`: (tenant, device, start of the first pane, end of the last one), epoch ms. The condition on the key lets
-- ClickHouse read nothing but the granules that may hold such a reading; identities never cross partitions.
select
    tenant,
    device,
    metric,
    intDiv(ts, 10000) * 10000 as pane,
    count() as readings,
    sumKahan(value) as total,
    sumKahan(value * value) as squares,
    min(value) as least,
    max(value) as greatest,
    min(ts) as first_ms,
    max(ts) as last_ms,
    argMax(value, ts) as last_value,
    max(log_time) as as_of,
    max(received) as newest_received
from reading final
where
    kind = 'number'
    and metric in %(metrics)s
    and ts >= %(first)s
    and ts < %(end)s
    and (tenant, device, intDiv(ts, 10000)) in (
        select
            tupleElement(span, 1) as tenant,
            tupleElement(span, 2) as device,
            arrayJoin(range(intDiv(tupleElement(span, 3), 10000), intDiv(tupleElement(span, 4), 10000))) as pane
        from (
            select arrayJoin(%(spans)s) as span
        ) as spans
    )
group by tenant, device, metric, pane
settings do_not_merge_across_partitions_select_final = 1
