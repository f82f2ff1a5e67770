-- migrate:up
-- The audit at the close: one row a minute of event time whose panes were compared with the raw store. It goes on after
-- the newest one.
create table pane_audit (
    minute timestamptz not null,
    rows bigint not null,
    missing bigint not null default 0,
    fewer bigint not null default 0,
    more bigint not null default 0,
    changed bigint not null default 0,
    unfounded bigint not null default 0,
    audited timestamptz not null default now(),
    primary key (minute)
);

comment on column pane_audit.rows is 'rows compared: every (tenant, device, metric, pane) of either store';
comment on column pane_audit.missing is 'rows that were not here, readings are in the raw store; repaired';
comment on column pane_audit.fewer is 'rows with fewer readings than the raw store has; repaired';
comment on column pane_audit.more is 'rows with more readings than the raw store; repaired with a higher generation';
comment on column pane_audit.changed is 'rows with as many readings but another sum; repaired so too';
comment on column pane_audit.unfounded is 'rows of which the raw store has no reading at all; left as they are';

-- Written before the repaired row is published: whoever recomputes that row later must not give it a lower generation.
create table pane_repair (
    tenant text not null,
    device text not null,
    metric text not null,
    pane timestamptz not null,
    generation integer not null,
    cause text not null,
    count_before bigint,
    count_after bigint not null,
    repaired timestamptz not null default now(),
    primary key (tenant, device, metric, pane)
);

create index pane_repair_pane on pane_repair (pane);

-- Rows are written in the order of their panes, but for late ones: a block range index finds a minute, costs few pages
-- and, as the pane of a row never changes, hinders no update on its page.
create index aggregate_10s_pane on aggregate_10s using brin (pane)
with (pages_per_range = 16, autosummarize = on);

-- migrate:down
drop index aggregate_10s_pane;
drop table pane_repair;
drop table pane_audit;
