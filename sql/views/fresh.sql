-- How many stamps of the pack are new: all (the fast way), none (a duplicate), or some (masked).
create temporary view fresh as
select
    tenant,
    device,
    pane,
    `at`,
    metrics,
    received,
    appended,
    log_time,
    known_before,
    cardinality(`at`) as sent,
    cast(bitmap_cardinality(known) - coalesce(bitmap_cardinality(known_before), 0) as int) as unseen
from seen_before
