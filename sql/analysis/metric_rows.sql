-- What a metric's query gives, in the types that its rows have.
create temporary view metric_rows as
select
    cast(tenant as string) as tenant,
    cast(device as string) as device,
    cast(pane as bigint) as pane,
    cast(`value` as double) as `value`,
    cast(n as bigint) as n,
    cast(generation as int) as generation,
    cast(as_of as bigint) as as_of,
    cast(received as bigint) as received
from (
    ${query}
) as query
