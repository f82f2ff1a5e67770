-- migrate:up
-- What has happened to devices, as long as HEADWATER_KEEP_EVENTS_DAYS and HEADWATER_KEEP_EVENTS_EACH say.
create table device_event (
    tenant text not null,
    device text not null,
    at bigint not null,
    id text not null,
    kind text not null,
    reason text not null,
    connection bigint not null,
    client text not null,
    address text not null,
    protocol text not null,
    session_present boolean not null,
    detail text not null,
    primary key (tenant, device, at, id)
);

comment on column device_event.at is 'when it happened, UTC epoch ms';
comment on column device_event.id is 'made from the content: a repeat has the same';

create index device_event_at on device_event using brin (at) with (pages_per_range = 16, autosummarize = on);

-- The newest connection of each client id. A higher number replaces a lower one, and an end is never taken back, so
-- the order in which events come does not matter.
create table device_connection (
    tenant text not null,
    device text not null,
    client text not null,
    connection bigint not null,
    since bigint,
    ended bigint,
    reason text not null,
    address text not null,
    protocol text not null,
    primary key (tenant, device, client)
);

comment on column device_connection.connection is 'number of the connection; ascending, also over restarts of a broker';
comment on column device_connection.since is 'when it began (UTC epoch ms); null while only its end is known';
comment on column device_connection.ended is 'when it ended (UTC epoch ms); null while it lasts';

create index device_connection_open on device_connection (connection)
where ended is null;

-- Each broker's newest start: connections with a lower number have ended.
create table broker_start (
    broker text not null,
    connection bigint not null,
    at bigint not null,
    primary key (broker)
);

create table device_first_seen (
    tenant text not null,
    device text not null,
    at bigint not null,
    primary key (tenant, device)
);

-- Devices that were there before events were kept: a day is all that is known, and no event tells of it.
insert into device_first_seen (tenant, device, at)
select
    tenant,
    device,
    min(first_ms) as at
from rollup_1d
group by tenant, device;

-- Whether a device is connected, since when, and if not, why: of several clients, one that is connected counts.
create view device_presence as
select
    tenant,
    device,
    bool_or(ended is null) as connected,
    case
        when bool_or(ended is null) then min(since) filter (where ended is null)
        else max(ended)
    end as since,
    case
        when bool_or(ended is null) then ''
        else (array_agg(reason order by ended desc))[1]
    end as reason,
    (array_agg(address order by connection desc))[1] as address
from device_connection
group by tenant, device;

-- migrate:down
drop view device_presence;
drop table device_first_seen;
drop table broker_start;
drop table device_connection;
drop table device_event;
