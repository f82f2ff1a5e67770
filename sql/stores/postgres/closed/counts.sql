-- What every row of a span of event time says; $1, $2: start and end, epoch ms. Metrics that analysts have deployed
-- have no readings of their own.
select
    tenant,
    device,
    metric,
    count,
    sum,
    sum_sq,
    (extract(epoch from pane) * 1000)::bigint as pane
from aggregate_10s
where
    pane >= to_timestamp($1::bigint / 1000)
    and pane < to_timestamp($2::bigint / 1000)
    and metric not in (
        select known.name
        from deployed_query as known
        where known.kind = 'metric'
    )
