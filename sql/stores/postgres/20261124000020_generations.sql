-- migrate:up
-- Rows of a rebuild that has not caught up, while a row of an older epoch is shown in their place.
create table held_10s (
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
    as_of bigint not null,
    received bigint not null,
    dup bigint not null,
    primary key (tenant, device, metric, pane_ms)
);

-- Up to which generation each partition of processed-data is whole: the least of them is shown.
create table shown_generation (
    partition integer not null,
    generation integer not null,
    primary key (partition)
);

-- migrate:down
drop table shown_generation;
drop table held_10s;
