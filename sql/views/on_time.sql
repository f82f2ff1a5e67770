-- Packs that still belong to this job: sound, of numbers, and appended before their pane was closed. Late is decided
-- by the end of the pane, never by the reading, or a pane could refuse one pack and take a later one. A job that was
-- rewound passes over panes of which it does not see everything.
-- `arrival` orders packs as they come; its value reaches no result.
create temporary view on_time as
select
    tenant,
    device,
    pane,
    `at`,
    metrics,
    received,
    appended,
    log_time,
    -- A pack's own metric set, as one text: a resend that was cut differently carries the same set.
    array_join(array_sort(map_keys(metrics)), chr(31)) as names,
    proctime() as arrival
from packs
where flaw is null
    and cardinality(metrics) > 0
    and log_time <= pane + ${late_after}
    and pane >= ${first_pane}
