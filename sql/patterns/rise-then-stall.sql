-- Each reading of the rise is at least 0.5 above the one before it, and those of the stall are within 0.25 of the top. So
-- no reading can belong to both, and noise below that is no rise.
select
    tenant,
    device,
    metric,
    started as `start`,
    stalled as event_time,
    known as log_time,
    latest as `value`,
    top as level
from readings_in_order
match_recognize (
    partition by tenant, device, metric
    order by appended, ts
    measures
        low.ts as started,
        last(stall.ts) as stalled,
        last(stall.log_time) as known,
        last(stall.`value`) as latest,
        last(rise.`value`) as top
    one row per match
    after match skip past last row
    pattern (low rise{5,} stall{3}) within interval '15' minute
    define
        rise as rise.`value` >= coalesce(last(rise.`value`, 1), low.`value`) + 0.5,
        stall as abs(stall.`value` - last(rise.`value`)) <= 0.25
) as rises
