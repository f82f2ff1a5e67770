-- What each pack adds to its row. Flink has no sum of an array: the terms are generated from the cap of a pack.
-- Made twice, as `masked_values` is.
create temporary view ${pieces} as
select
    tenant,
    device,
    metric,
    pane,
    received,
    appended,
    log_time,
    unseen as n,
    sent - unseen as dup,
    ${sum} as s,
    ${sum_sq} as sq,
    array_min(w) as least_value,
    array_max(w) as greatest_value,
    pane + new_at[1] as first_ms,
    pane + new_at[cardinality(new_at)] as last_ms,
    last_text,
    site,
    model
from ${masked_values}
