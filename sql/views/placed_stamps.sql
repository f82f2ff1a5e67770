-- Packs with the site and the model that their device had when Kafka appended them, without copies and without devices
-- that were not known then. Whole packs are joined: a row of the state for each, and not for each metric (decision 37).
-- No condition on site or model stands here: it would go below the join, and hide that a device has left.
create temporary view placed_stamps as
select
    s.tenant,
    s.device,
    s.pane,
    s.`at`,
    s.metrics,
    s.received,
    s.appended,
    s.log_time,
    s.sent,
    s.unseen,
    s.new_at,
    g.site,
    g.model
from masked_stamps as s
inner join registry for system_time as of s.appended as g
    on s.tenant = g.tenant and s.device = g.device
where s.unseen > 0
