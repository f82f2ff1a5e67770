-- Rows of devices in the live table and in a replay that differ, over panes that start in [$1, $2) (epoch ms), and how
-- many rows were compared. Live rows that took in something after $3 (log time, epoch ms) have moved on since. Floats
-- may differ by a relative 1e-9: the order of additions.
with live as (
    select
        tenant,
        device,
        metric,
        pane,
        count,
        sum,
        sum_sq,
        min,
        max,
        first_ms,
        last_ms,
        last,
        as_of
    from public.aggregate_10s
    where
        pane >= to_timestamp($1::bigint / 1000.0)
        and pane < to_timestamp($2::bigint / 1000.0)
        and metric not in (
            select known.name
            from public.deployed_query as known
            where known.kind = 'metric'
        )
        and left(device, 1) <> '_'
),

again as (
    select *
    from replayed
    where
        pane >= to_timestamp($1::bigint / 1000.0)
        and pane < to_timestamp($2::bigint / 1000.0)
),

both_rows as (
    select
        coalesce(live.tenant, again.tenant) as tenant,
        coalesce(live.device, again.device) as device,
        coalesce(live.metric, again.metric) as metric,
        coalesce(live.pane, again.pane) as pane,
        live.as_of is not null and live.as_of >= $3::bigint as moved_on,
        case
            when again.tenant is null then 'extra'
            when live.tenant is null then 'missing'
            when
                live.count <> again.count
                or live.first_ms <> again.first_ms
                or live.last_ms <> again.last_ms
                or live.min <> again.min
                or live.max <> again.max
                or live.last <> again.last
                or abs(live.sum - again.sum) > 1e-9 * greatest(abs(live.sum), abs(again.sum), 1)
                or abs(live.sum_sq - again.sum_sq) > 1e-9 * greatest(abs(live.sum_sq), abs(again.sum_sq), 1)
                then 'different'
            else 'same'
        end as verdict,
        concat_ws(' ', live.count, live.sum, live.min, live.max, live.first_ms, live.last_ms, live.last) as live_row,
        concat_ws(' ', again.count, again.sum, again.min, again.max, again.first_ms, again.last_ms, again.last)
            as again_row
    from live
    full outer join again
        on
            live.tenant = again.tenant
            and live.device = again.device
            and live.metric = again.metric
            and live.pane = again.pane
)

select
    verdict,
    tenant,
    device,
    metric,
    (extract(epoch from pane) * 1000)::bigint as pane_ms,
    moved_on,
    live_row,
    again_row
from both_rows
where verdict <> 'same'
union all
select
    'same' as verdict,
    '' as tenant,
    '' as device,
    '' as metric,
    count(*) as pane_ms,
    false as moved_on,
    '' as live_row,
    '' as again_row
from both_rows
where verdict = 'same'
