-- One row a device and minute, at the first pane of the minute. A minute takes part in 60 windows: its own and those that
-- end within the hour after it. A window is there as soon as its last minute has a reading, and is amended with it.
select
    tenant,
    device,
    window_end * 60000 as pane,
    sum(s) / sum(n) as `value`,
    sum(n) as n,
    max(generation) as generation,
    max(as_of) as as_of,
    max(received) as received
from (
    select
        m.tenant,
        m.device,
        m.at_minute,
        m.at_minute + later as window_end,
        m.n,
        m.s,
        m.generation,
        m.as_of,
        m.received
    from (
        select
            tenant,
            device,
            pane / 60000 as at_minute,
            sum(`count`) as n,
            sum(`sum`) as s,
            max(generation) as generation,
            max(as_of) as as_of,
            max(received) as received
        from panes
        group by tenant, device, pane / 60000
    ) as m
    cross join unnest(array[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
        20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
        40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59
    ]) as w (later)
) as minutes
group by tenant, device, window_end
having max(at_minute) = window_end
