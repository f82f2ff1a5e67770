-- Puts onto the stage what was held back and may be shown now: its epoch ($1 generations each) is that of all
-- partitions ($2). Rows that retention has outlived ($3, epoch ms) have no place any more.
with shown as (
    select coalesce(min(generation), 0) / $1 as epoch
    from shown_generation
    having count(*) >= $2
),

released as (
    delete from held_10s
    where generation / $1 <= coalesce((select epoch from shown), 0)
    returning
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

insert into sink_stage (
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
from released
where pane_ms >= $3
