-- Numbers of one metric of one record, with log time as what rows are ordered by. A record that makes a dead letter has
-- none.
create temporary view slices as
select
    p.tenant,
    p.device,
    m.metric,
    p.pane,
    p.`at`,
    m.vs,
    p.appended
from (
    select
        tenant,
        device,
        pane,
        `at`,
        metrics,
        appended,
        ${flaw} as flaw
    from raw_sensor_data
    where tenant <> '_pulse'
) as p
cross join unnest(p.metrics) as m (metric, vs)
where p.flaw is null
    ${only}
