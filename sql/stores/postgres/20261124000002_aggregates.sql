-- migrate:up
-- A row is rewritten a few times while its pane is open. Nothing but the key is indexed and the pages of the
-- partitions are left half empty (fillfactor, see make_partition), so that an update stays on its page (HOT).
create table aggregate_10s (
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
    received bigint not null,
    dup bigint not null,
    primary key (tenant, device, metric, pane)
) partition by range (pane);

create table rollup_1m (
    tenant text not null,
    device text not null,
    metric text not null,
    bucket timestamptz not null,
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
    primary key (tenant, device, metric, bucket)
) partition by range (bucket);

create table rollup_1h (
    like rollup_1m including all
) partition by range (bucket);

create table rollup_1d (
    like rollup_1m including all
) partition by range (bucket);

-- What to recompute. Append only and without a key: the one who rolls up deletes the very marks that it has seen, so a
-- mark that a concurrent write adds is never lost to it, and nobody waits for anybody.
create table rollup_dirty (
    level text not null,
    tenant text not null,
    device text not null,
    metric text not null,
    bucket timestamptz not null
);

comment on table rollup_dirty is 'level 1m, 1h or 1d: this bucket of this series has changed below';

alter table rollup_dirty set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- migrate:down
drop table rollup_dirty;
drop table rollup_1d;
drop table rollup_1h;
drop table rollup_1m;
drop table aggregate_10s;
