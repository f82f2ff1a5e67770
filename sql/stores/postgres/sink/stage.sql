create temporary table if not exists sink_stage (
    tenant text,
    device text,
    metric text,
    pane_ms bigint,
    generation integer,
    count bigint,
    sum double precision,
    sum_sq double precision,
    min double precision,
    max double precision,
    first_ms bigint,
    last_ms bigint,
    last double precision,
    as_of bigint,
    received bigint,
    dup bigint
) on commit delete rows
