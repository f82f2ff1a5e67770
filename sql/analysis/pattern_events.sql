-- What happens to the alerts of a pattern: a match raises one, and log time clears it. Two matches that begin with one
-- reading are one alert.
create temporary view pattern_events as
select
    tenant,
    device,
    metric,
    `start`,
    'raised' as happened,
    'reading' as why,
    event_time,
    log_time,
    `value`,
    level
from pattern_rows
union all
select
    tenant,
    device,
    metric,
    `start`,
    'cleared' as happened,
    'expired' as why,
    max(log_time) + ${clear_ms} as event_time,
    max(log_time) + ${clear_ms} as log_time,
    cast(null as double) as `value`,
    cast(null as double) as level
from table(
    session(
        table pattern_rows partition by (tenant, device, metric, `start`), -- noqa: PRS
        descriptor(matched),
        interval '${clear_s}' second(6, 3)
    )
)
group by tenant, device, metric, `start`, window_start, window_end
