-- What every series holds of a span of event time: count, sum and newest log time of each pane.
select
    tenant,
    device,
    metric,
    intDiv(ts, 10000) * 10000 as pane,
    count() as readings,
    sumKahan(value) as total,
    max(log_time) as as_of
from reading final
where
    kind = 'number'
    and ts >= %(first)s
    and ts < %(end)s
group by tenant, device, metric, pane
settings do_not_merge_across_partitions_select_final = 1
