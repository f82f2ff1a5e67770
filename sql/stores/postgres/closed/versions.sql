-- Generation and dup of the rows over some spans of panes: stored rows, those of a rebuild that are held back, and the
-- generations that repairs have given out.
-- $1 to $4: tenant, device, start of the first pane, end of the last one (epoch ms) of each span; $5: metrics; $6, $7:
-- start and end of all, by which partitions are left out. One walk of the key for each span (offset 0 keeps it so).
select
    wanted.tenant,
    wanted.device,
    held.metric,
    (extract(epoch from held.pane) * 1000)::bigint as pane,
    held.generation,
    held.dup
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as wanted (tenant, device, first_ms, end_ms)
cross join
    lateral ( -- noqa: ST05
        select
            row.metric,
            row.pane,
            row.generation,
            row.dup
        from aggregate_10s as row
        where
            row.tenant = wanted.tenant
            and row.device = wanted.device
            and row.metric = any($5)
            and row.pane >= to_timestamp(wanted.first_ms / 1000)
            and row.pane < to_timestamp(wanted.end_ms / 1000)
            and row.pane >= to_timestamp($6::bigint / 1000)
            and row.pane < to_timestamp($7::bigint / 1000)
        offset 0 -- noqa: AM09
    ) as held
union all
select
    wanted.tenant,
    wanted.device,
    held.metric,
    held.pane_ms as pane,
    held.generation,
    held.dup
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as wanted (tenant, device, first_ms, end_ms)
inner join held_10s as held
    on
        wanted.tenant = held.tenant
        and wanted.device = held.device
        and wanted.first_ms <= held.pane_ms
        and wanted.end_ms > held.pane_ms
        and held.metric = any($5)
union all
select
    wanted.tenant,
    wanted.device,
    given.metric,
    (extract(epoch from given.pane) * 1000)::bigint as pane,
    given.generation,
    0 as dup
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as wanted (tenant, device, first_ms, end_ms)
inner join pane_repair as given
    on
        wanted.tenant = given.tenant
        and wanted.device = given.device
        and given.metric = any($5)
        and given.pane >= to_timestamp(wanted.first_ms / 1000)
        and given.pane < to_timestamp(wanted.end_ms / 1000)
