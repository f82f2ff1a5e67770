-- The fleets that have readings of some devices over some spans of panes, and in which panes. `spans` as in fold.sql.
-- Copies may name one that holds none of them: its row is then what it was.
select distinct
    part.tenant,
    arrayJoin(
        arrayConcat(
            if(tupleElement(there, 3) = '', [], [concat(%(site)s, tupleElement(there, 3))]),
            if(tupleElement(there, 4) = '', [], [concat(%(model)s, tupleElement(there, 4))])
        )
    ) as fleet,
    part.device,
    part.pane,
    arrayLast(one -> tupleElement(one, 1) <= part.log_time, place.said) as there
from (
    select distinct
        tenant,
        device,
        intDiv(ts, 10000) * 10000 as pane,
        log_time
    from reading
    where
        kind = 'number'
        and metric in %(metrics)s
        and ts >= %(first)s
        and ts < %(end)s
        and (tenant, device, intDiv(ts, 10000)) in (
            select
                tupleElement(span, 1) as tenant,
                tupleElement(span, 2) as device,
                arrayJoin(range(intDiv(tupleElement(span, 3), 10000), intDiv(tupleElement(span, 4), 10000))) as pane
            from (
                select arrayJoin(%(spans)s) as span
            ) as spans
        )
) as part
left join place
    on part.tenant = place.tenant and part.device = place.device
