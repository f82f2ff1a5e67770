-- migrate:up
create table audit_result (
    finished timestamptz not null default now(),
    state text not null,
    from_ms bigint not null,
    to_ms bigint not null,
    records bigint not null,
    readings bigint not null,
    duplicates bigint not null,
    gaps integer not null,
    said text not null,
    primary key (finished)
);

comment on table audit_result is 'what each `headwater audit` found; the newest row is shown';
comment on column audit_result.state is 'balanced, gap, or waiting: a store is behind, so nothing can be said yet';
comment on column audit_result.from_ms is 'log time (epoch ms) of the audited range, to_ms not included';

-- migrate:down
drop table audit_result;
