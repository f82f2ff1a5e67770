-- The new stamps themselves, ascending. The unnest of one element is a barrier: it evaluates the case once.
-- Site and model are not known here, as nothing waits for the registry: `placed_stamps` has them.
create temporary view masked_stamps as
select
    f.tenant,
    f.device,
    f.pane,
    f.`at`,
    f.metrics,
    f.received,
    f.appended,
    f.log_time,
    f.sent,
    f.unseen,
    u.new_at,
    cast(null as string) as site,
    cast(null as string) as model
from fresh as f
cross join unnest(array[
    case
        when f.unseen = f.sent then f.`at`
        when f.unseen = 0 then array[cast(null as int)]
        else bitmap_to_array(bitmap_andnot(bitmap_build(f.`at`), f.known_before))
    end
]) as u (new_at)
