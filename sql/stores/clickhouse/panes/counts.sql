-- What every series, of devices and of fleets, holds of a span of event time: count, sum and newest log time of each
-- pane. In the fleets only of readings before %(until)s (log time): up to there the registry is known.
select
    tenant,
    name as device,
    metric,
    pane,
    sum(readings) as held,
    sumKahan(total) as held_total,
    max(log_time) as as_of
from (
    select
        part.tenant,
        part.metric,
        part.pane,
        part.readings,
        part.total,
        part.log_time,
        arrayJoin(
            arrayConcat(
                [toString(part.device)],
                if(tupleElement(there, 3) = '' or part.log_time >= %(until)s, [], [concat(%(site)s, tupleElement(there, 3))]),
                if(tupleElement(there, 4) = '' or part.log_time >= %(until)s, [], [concat(%(model)s, tupleElement(there, 4))])
            )
        ) as name,
        arrayLast(one -> tupleElement(one, 1) <= part.log_time, place.said) as there
    from (
        select
            tenant,
            device,
            metric,
            intDiv(ts, 10000) * 10000 as pane,
            log_time,
            count() as readings,
            sumKahan(value) as total
        from reading final
        where
            kind = 'number'
            and ts >= %(first)s
            and ts < %(end)s
        group by tenant, device, metric, pane, log_time
    ) as part
    left join place
        on part.tenant = place.tenant and part.device = place.device
) as parts
group by tenant, name, metric, pane
settings do_not_merge_across_partitions_select_final = 1
