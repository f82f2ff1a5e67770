-- migrate:up
-- What has happened to alerts, one row an event; a replay names the same events, so each is kept once.
create table alert_event (
    tenant text not null,
    alert_id text not null,
    log_time bigint not null,
    event_time bigint not null,
    happened text not null,
    severity text not null,
    why text not null,
    rule text not null,
    version integer not null,
    device text not null,
    metric text not null,
    start bigint not null,
    value jsonb,
    level double precision,
    received bigint not null,
    primary key (tenant, alert_id, log_time, event_time, happened, severity)
);

comment on column alert_event.start is 'when the episode began, UTC epoch ms, as all times here';
comment on column alert_event.value is 'the number, text or truth value that decided';

-- Each episode as its events leave it. It is folded from all of them, so their order of arrival does not matter.
create table alert (
    tenant text not null,
    alert_id text not null,
    rule text not null,
    version integer not null,
    device text not null,
    metric text not null,
    severity text not null,
    worst text not null,
    start bigint not null,
    raised bigint not null,
    cleared bigint,
    changed bigint not null,
    why text not null,
    value jsonb,
    level double precision,
    primary key (tenant, alert_id)
);

comment on column alert.severity is 'the severity now; of a cleared one that before';
comment on column alert.raised is 'event time of the reading that raised it';
comment on column alert.cleared is 'event time of what cleared it; null while it is active';
comment on column alert.changed is 'log time of the newest event';

create index alert_by_change on alert (tenant, changed desc, alert_id);
create index alert_active on alert (tenant, changed desc, alert_id)
where cleared is null;
create index alert_by_device on alert (tenant, device, changed desc, alert_id);

-- What people have said of alerts. No sink writes here, so no replay takes it back.
create table alert_acknowledged (
    tenant text not null,
    alert_id text not null,
    at timestamptz not null default now(),
    by text not null,
    comment text not null,
    primary key (tenant, alert_id)
);

-- migrate:down
drop table alert_acknowledged;
drop table alert;
drop table alert_event;
