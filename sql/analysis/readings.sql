-- Every reading of numbers as a row, resent ones too: for a look into the log. Metrics are made of panes, which hold
-- each reading once and cost a hundredth.
create temporary view readings as
select
    p.tenant,
    p.device,
    m.metric,
    p.pane + a.since as ts,
    m.vs[a.place] as `value`,
    p.log_time,
    p.received
from packs as p
cross join unnest(p.metrics) as m (metric, vs)
cross join unnest(p.`at`) with ordinality as a (since, place) -- noqa: PRS
where p.flaw is null
