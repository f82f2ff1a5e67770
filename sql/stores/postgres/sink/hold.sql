-- Takes out of the stage what may not be shown yet: rows of a higher epoch ($1 generations each) than the one that all
-- partitions ($2) have come to, where a row of a lower epoch stands.
with shown as (
    select coalesce(min(generation), 0) / $1 as epoch
    from shown_generation
    having count(*) >= $2
),

waiting as (
    delete from sink_stage
    using aggregate_10s
    where
        sink_stage.generation / $1 > coalesce((select epoch from shown), 0)
        and aggregate_10s.tenant = sink_stage.tenant
        and aggregate_10s.device = sink_stage.device
        and aggregate_10s.metric = sink_stage.metric
        and aggregate_10s.pane = to_timestamp(sink_stage.pane_ms / 1000)
        and aggregate_10s.generation / $1 < sink_stage.generation / $1
    returning
        sink_stage.tenant,
        sink_stage.device,
        sink_stage.metric,
        sink_stage.pane_ms,
        sink_stage.generation,
        sink_stage.count,
        sink_stage.sum,
        sink_stage.sum_sq,
        sink_stage.min,
        sink_stage.max,
        sink_stage.first_ms,
        sink_stage.last_ms,
        sink_stage.last,
        sink_stage.as_of,
        sink_stage.received,
        sink_stage.dup
)

insert into held_10s as held (
    tenant,
    device,
    metric,
    pane_ms,
    generation,
    count,
    sum,
    sum_sq,
    min,
    max,
    first_ms,
    last_ms,
    last,
    as_of,
    received,
    dup
)
select
    tenant,
    device,
    metric,
    pane_ms,
    generation,
    count,
    sum,
    sum_sq,
    min,
    max,
    first_ms,
    last_ms,
    last,
    as_of,
    received,
    dup
from waiting
order by
    tenant,
    device,
    metric,
    pane_ms
on conflict (tenant, device, metric, pane_ms) do update
    set
        generation = excluded.generation,
        count = excluded.count,
        sum = excluded.sum,
        sum_sq = excluded.sum_sq,
        min = excluded.min,
        max = excluded.max,
        first_ms = excluded.first_ms,
        last_ms = excluded.last_ms,
        last = excluded.last,
        as_of = excluded.as_of,
        received = excluded.received,
        dup = excluded.dup
    where (excluded.generation, excluded.count, excluded.as_of) >= (held.generation, held.count, held.as_of)
