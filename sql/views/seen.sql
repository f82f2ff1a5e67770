-- The stamps that are known of this device, metric set and pane, this pack included.
create temporary view seen as
select
    tenant,
    device,
    names,
    pane,
    `at`,
    metrics,
    received,
    appended,
    log_time,
    arrival,
    bitmap_or_agg(bitmap_build(`at`)) over (
        partition by tenant, device, names, pane
        order by arrival
        rows between unbounded preceding and current row
    ) as known
from on_time
