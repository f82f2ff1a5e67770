-- The own table of a replay, in a schema of its own that the caller has made and named first in the search path.
create table replayed (
    tenant text not null,
    device text not null,
    metric text not null,
    pane timestamptz not null,
    generation integer not null,
    count bigint not null,
    sum double precision not null,
    sum_sq double precision not null,
    min double precision not null,
    max double precision not null,
    first_ms bigint not null,
    last_ms bigint not null,
    last double precision not null,
    as_of bigint not null,
    primary key (tenant, device, metric, pane)
);

create unlogged table replay_stage (
    tenant text not null,
    device text not null,
    metric text not null,
    pane_ms bigint not null,
    generation integer not null,
    count bigint not null,
    sum double precision not null,
    sum_sq double precision not null,
    min double precision not null,
    max double precision not null,
    first_ms bigint not null,
    last_ms bigint not null,
    last double precision not null,
    as_of bigint not null
);
