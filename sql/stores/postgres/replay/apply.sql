-- Rows of a replay into its own table, by the rule of versions, as the sink applies them to the live one.
insert into replayed as held (
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
    as_of
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
    as_of
from replay_stage
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
        as_of = excluded.as_of
    where (excluded.generation, excluded.count, excluded.as_of) >= (held.generation, held.count, held.as_of)
