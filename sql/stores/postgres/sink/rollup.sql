-- Recomputes the marked buckets of ${level} from their rows of ${finer}, whole, and marks what lies above them (nothing
-- does above the coarsest level, whose ${coarser} is empty). connectors/sinks/rollup.py fills in the names.
-- One statement is one snapshot: it sees a mark and the rows it stands for together or not at all.
-- A bucket whose source rows retention has begun to remove keeps what it has: what is left would not be the whole.
-- Rows without a reading say nothing; a bucket of which none is left goes.
-- The lateral join makes it one walk of the key for each bucket, whatever the planner knows of a young partition.
with taken as (
    delete from rollup_dirty
    where
        ctid = any(
            array(
                select ctid
                from rollup_dirty
                where level = '${level}'
                limit $1 -- noqa: AM09
            )
        )
    returning
        tenant,
        device,
        metric,
        bucket
),

changed as (
    select distinct
        tenant,
        device,
        metric,
        bucket
    from taken
    where
        bucket >= (
            select max(level.edge)
            from level
            where level.level in ('${finer}', '${level}')
        )
),

above as (
    insert into rollup_dirty (level, tenant, device, metric, bucket)
    select distinct
        '${coarser}' as level,
        tenant,
        device,
        metric,
        date_trunc('${coarser_unit}', bucket, 'UTC') as bucket
    from changed
    where '${coarser}' <> ''
),

totals as (
    select
        changed.tenant,
        changed.device,
        changed.metric,
        changed.bucket,
        whole.count,
        whole.sum,
        whole.sum_sq,
        whole.min,
        whole.max,
        whole.first_ms,
        whole.last_ms,
        whole.last,
        whole.as_of,
        whole.received
    from changed
    cross join
        lateral (
            select
                sum(part.count)::bigint as count,
                sum(part.sum) as sum,
                sum(part.sum_sq) as sum_sq,
                min(part.min) as min,
                max(part.max) as max,
                min(part.first_ms) as first_ms,
                max(part.last_ms) as last_ms,
                (array_agg(part.last order by part.last_ms desc))[1] as last,
                max(part.as_of) as as_of,
                max(part.received) as received
            from ${source} as part
            where
                part.tenant = changed.tenant
                and part.device = changed.device
                and part.metric = changed.metric
                and part.${source_time} >= changed.bucket
                and part.${source_time} < changed.bucket + interval '1 ${unit}'
                and part.count > 0
        ) as whole
),

emptied as (
    delete from ${target} as held
    using totals
    where
        totals.count is null
        and held.tenant = totals.tenant
        and held.device = totals.device
        and held.metric = totals.metric
        and held.bucket = totals.bucket
),

written as (
    insert into ${target} as held (
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
        received
    )
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
        received
    from totals
    where count is not null
    order by
        tenant,
        device,
        metric,
        bucket
    on conflict (tenant, device, metric, bucket) do update
        set
            count = excluded.count,
            sum = excluded.sum,
            sum_sq = excluded.sum_sq,
            min = excluded.min,
            max = excluded.max,
            first_ms = excluded.first_ms,
            last_ms = excluded.last_ms,
            last = excluded.last,
            as_of = excluded.as_of,
            received = excluded.received
        where (
            excluded.count,
            excluded.sum,
            excluded.sum_sq,
            excluded.min,
            excluded.max,
            excluded.first_ms,
            excluded.last_ms,
            excluded.last,
            excluded.as_of,
            excluded.received
        ) is distinct from (
            held.count,
            held.sum,
            held.sum_sq,
            held.min,
            held.max,
            held.first_ms,
            held.last_ms,
            held.last,
            held.as_of,
            held.received
        )
)

select count(*) as taken
from taken
