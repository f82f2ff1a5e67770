-- The order by key keeps two instances of the sink from waiting for each other in a circle.
-- A row that says nothing new is not written again, so a replay costs no disk and no rollup.
with applied as (
    insert into aggregate_10s as held (
        tenant,
        device,
        metric,
        pane,
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
        to_timestamp(pane_ms / 1000) as pane,
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
    from sink_stage
    order by
        tenant,
        device,
        metric,
        pane_ms
    on conflict (tenant, device, metric, pane) do update
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
        where
        (excluded.generation, excluded.count, excluded.as_of) >= (held.generation, held.count, held.as_of)
        and (
            excluded.generation,
            excluded.count,
            excluded.sum,
            excluded.sum_sq,
            excluded.min,
            excluded.max,
            excluded.first_ms,
            excluded.last_ms,
            excluded.last,
            excluded.as_of,
            excluded.received,
            excluded.dup
        ) is distinct from (
            held.generation,
            held.count,
            held.sum,
            held.sum_sq,
            held.min,
            held.max,
            held.first_ms,
            held.last_ms,
            held.last,
            held.as_of,
            held.received,
            held.dup
        )
    returning
        tenant,
        device,
        metric,
        pane
),

marked as (
    insert into rollup_dirty (level, tenant, device, metric, bucket)
    select distinct
        '1m' as level,
        tenant,
        device,
        metric,
        date_trunc('minute', pane, 'UTC') as bucket
    from applied
)

select count(*) as applied
from applied
