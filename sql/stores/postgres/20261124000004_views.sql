-- migrate:up
-- What readers ask: the same names and columns whatever makes the rollups (here tables, with TimescaleDB continuous
-- aggregates). std is that of the population, from the sums; a difference of large sums may fall below nought.
create view series_10s as
select
    tenant,
    device,
    metric,
    pane as bucket,
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
    sum / nullif(count, 0) as mean,
    sqrt(greatest(0, sum_sq / nullif(count, 0) - (sum / nullif(count, 0)) ^ 2)) as std
from aggregate_10s;

create view series_1m as
select
    tenant,
    device,
    metric,
    bucket,
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
    sum / nullif(count, 0) as mean,
    sqrt(greatest(0, sum_sq / nullif(count, 0) - (sum / nullif(count, 0)) ^ 2)) as std
from rollup_1m;

create view series_1h as
select
    tenant,
    device,
    metric,
    bucket,
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
    sum / nullif(count, 0) as mean,
    sqrt(greatest(0, sum_sq / nullif(count, 0) - (sum / nullif(count, 0)) ^ 2)) as std
from rollup_1h;

create view series_1d as
select
    tenant,
    device,
    metric,
    bucket,
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
    sum / nullif(count, 0) as mean,
    sqrt(greatest(0, sum_sq / nullif(count, 0) - (sum / nullif(count, 0)) ^ 2)) as std
from rollup_1d;

-- migrate:down
drop view series_1d;
drop view series_1h;
drop view series_1m;
drop view series_10s;
