-- Beside them, the stamps that were known before this pack came.
create temporary view seen_before as
select
    tenant,
    device,
    pane,
    `at`,
    metrics,
    received,
    appended,
    log_time,
    known,
    lag(known) over (
        partition by tenant, device, names, pane
        order by arrival
    ) as known_before
from seen
