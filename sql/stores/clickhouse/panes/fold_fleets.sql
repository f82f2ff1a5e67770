-- The rows of some fleets over some spans of panes, folded from the readings of their members: one row a (tenant,
-- fleet, metric, pane). `spans`: (tenant, fleet, start of the first pane, end of the last one), epoch ms; `fleets`: those
-- of them, (tenant, fleet). Only readings before %(until)s (log time): up to there the registry is known. Of the newest
-- values of one stamp the last one is that of the device whose name is the largest.
select
    tenant,
    fleet as device,
    metric,
    pane,
    count() as readings,
    sumKahan(value) as total,
    sumKahan(value * value) as squares,
    min(value) as least,
    max(value) as greatest,
    min(ts) as first_ms,
    max(ts) as last_ms,
    argMax(value, (ts, member)) as last_value,
    max(log_time) as as_of,
    max(received) as newest_received
from (
    select
        part.tenant,
        toString(part.device) as member,
        part.metric,
        intDiv(part.ts, 10000) * 10000 as pane,
        part.ts,
        part.value,
        part.log_time,
        part.received,
        arrayJoin(
            arrayConcat(
                if(tupleElement(there, 3) = '', [], [concat(%(site)s, tupleElement(there, 3))]),
                if(tupleElement(there, 4) = '', [], [concat(%(model)s, tupleElement(there, 4))])
            )
        ) as fleet,
        arrayLast(one -> tupleElement(one, 1) <= part.log_time, place.said) as there
    from (
        select
            tenant,
            device,
            metric,
            ts,
            value,
            log_time,
            received
        from reading final
        where
            kind = 'number'
            and metric in %(metrics)s
            and ts >= %(first)s
            and ts < %(end)s
            and log_time < %(until)s
            and (tenant, device) in (
                select
                    tenant,
                    device
                from device_place
                where
                    (toString(tenant), concat(%(site)s, site)) in %(fleets)s
                    or (toString(tenant), concat(%(model)s, model)) in %(fleets)s
            )
    ) as part
    left join place
        on part.tenant = place.tenant and part.device = place.device
) as parts
where
    (toString(tenant), fleet, intDiv(pane, 10000)) in (
        select
            tupleElement(span, 1) as tenant,
            tupleElement(span, 2) as fleet,
            arrayJoin(range(intDiv(tupleElement(span, 3), 10000), intDiv(tupleElement(span, 4), 10000))) as pane
        from (
            select arrayJoin(%(spans)s) as span
        ) as spans
    )
group by tenant, fleet, metric, pane
settings do_not_merge_across_partitions_select_final = 1
