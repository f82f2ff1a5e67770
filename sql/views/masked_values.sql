-- One row a pack and metric, with the values that count; null stands where a stamp was known before.
-- Made twice by the aggregation job: of `masked_stamps`, and of `placed_stamps` for the rows of sites and models.
create temporary view ${masked_values} as
select
    s.tenant,
    s.device,
    m.metric,
    s.pane,
    s.received,
    s.appended,
    s.log_time,
    s.sent,
    s.unseen,
    s.new_at,
    s.site,
    s.model,
    u.w,
    -- The newest stamp that counts, and its value in the last 25 characters, as one text: the largest text is the last
    -- value.
    case
        when s.unseen > 0 then concat(
            lpad(cast(s.new_at[cardinality(s.new_at)] as string), 4, '0'),
            lpad(cast(m.vs[array_position(s.`at`, s.new_at[cardinality(s.new_at)])] as string), 25, ' ')
        )
    end as last_text
from ${masked_stamps} as s
cross join unnest(s.metrics) as m (metric, vs)
cross join unnest(array[
    case
        when s.unseen = s.sent then m.vs
        when s.unseen = 0 then array[cast(null as double)]
        else array[
            ${masked}
        ]
    end
]) as u (w)
