-- Every reading of numbers in the order in which patterns see it: that of the log, and within a record by event time. A
-- reading that is not newer than one that came before it, of the same device and metric, is a copy or late, and is no row.
-- The last two of an ever growing number, less the last, is the one before: lag() would take rows of one log time for
-- one.
create temporary view readings_in_order as
select
    s.tenant,
    s.device,
    s.metric,
    s.pane + a.since as ts,
    s.vs[a.place] as `value`,
    extract(epoch from s.appended) * 1000 + extract(millisecond from s.appended) as log_time,
    s.appended
from (
    select
        *,
        sum(seen_until) over (
            partition by tenant, device, metric
            order by appended
            rows between 1 preceding and current row
        ) - seen_until as seen_before
    from (
        select
            *,
            max(pane + `at`[cardinality(`at`)] + 1) over (
                partition by tenant, device, metric
                order by appended
                rows between unbounded preceding and current row
            ) as seen_until
        from slices
    ) as seen
) as s
cross join unnest(s.`at`) with ordinality as a (since, place) -- noqa: PRS
where s.pane + a.since >= s.seen_before
