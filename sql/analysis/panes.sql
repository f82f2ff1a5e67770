-- The newest version of each row: what a series was in a 10 s pane, by the rule that sinks have. A partial row that
-- comes after a later one (a restart, a second writer) changes nothing. Beats and markers are no rows, and those of
-- fleets are left out: they hold the readings of devices once more.
create temporary view panes as
select
    tenant,
    device,
    metric,
    pane,
    generation,
    `count`,
    `sum`,
    sum_sq,
    `min`,
    `max`,
    first_ms,
    last_ms,
    `last`,
    as_of,
    received,
    dup
from (
    select
        *,
        row_number() over (
            partition by tenant, device, metric, pane
            order by generation desc, `count` desc, as_of desc
        ) as place
    from panes_log
    where tenant <> '_pulse'
        and `count` > 0
        and left(device, 1) <> '_'
        ${only}
) as versions
where place = 1
