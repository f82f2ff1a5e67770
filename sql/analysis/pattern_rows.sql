-- What a pattern's query gives, in the types that alerts have. What no store could hold is left out.
create temporary view pattern_rows as
select
    cast(tenant as string) as tenant,
    cast(device as string) as device,
    cast(metric as string) as metric,
    cast(`start` as bigint) as `start`,
    cast(event_time as bigint) as event_time,
    cast(log_time as bigint) as log_time,
    case when `value` between -1e100 and 1e100 then cast(`value` as double) end as `value`,
    case when level between -1e100 and 1e100 then cast(level as double) end as level
from (
    ${query}
) as query
where tenant is not null
    and device is not null
    and metric is not null
    and `start` is not null
    and event_time is not null
    and log_time is not null
