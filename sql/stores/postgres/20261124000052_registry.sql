-- migrate:up
create sequence registry_version;

comment on sequence registry_version is 'versions of all that is registered; of one thing they only grow';

create table site (
    tenant text not null,
    site text not null,
    title text not null default '',
    zone text not null default 'UTC',
    place text not null default '',
    version bigint not null,
    changed timestamptz not null,
    primary key (tenant, site)
);

comment on column site.zone is 'time zone by its IANA name, in which its days begin';
comment on column site.place is 'where it is, for people';

create table model (
    tenant text not null,
    model text not null,
    title text not null default '',
    metrics jsonb not null default '{}',
    version bigint not null,
    changed timestamptz not null,
    primary key (tenant, model)
);

comment on column model.metrics is 'name -> unit, scale, low, high, sensitivity, title';

alter table tenant
add column title text not null default '',
add column version bigint not null default nextval('registry_version'),
add column changed timestamptz not null default now();

alter table device
add column site text,
add column model text,
add column tags text[] not null default '{}',
add column attributes jsonb not null default '{}',
add column version bigint not null default nextval('registry_version'),
add column changed timestamptz not null default now(),
add foreign key (tenant, site) references site,
add foreign key (tenant, model) references model;

create index device_site on device (tenant, site);
create index device_model on device (tenant, model);
create index device_tags on device using gin (tags);

comment on column device.kind is 'what it is, in a word; says nothing of its metrics, as its model does';
comment on column device.tags is 'sorted, each once';
comment on column device.attributes is 'server, shared, client -> name -> text, number, boolean';

create table credential (
    tenant text not null,
    device text not null,
    token_sha256 text not null,
    created timestamptz not null default now(),
    expires timestamptz,
    revoked timestamptz,
    primary key (tenant, device, token_sha256),
    foreign key (tenant, device) references device on delete cascade
);

comment on table credential is 'tokens of devices; all that are neither revoked nor expired are good';
comment on column credential.token_sha256 is 'SHA-256 of the token, hex; tokens have 128 bits or more, so no slow hash';
comment on column credential.expires is 'when it ends by itself: set at its making, or by a rotation; null means never';

insert into credential (tenant, device, token_sha256, created, revoked)
select
    tenant,
    device,
    token_sha256,
    created,
    revoked
from device;

alter table device
drop column token_sha256,
drop column revoked;

-- What a record of device-registry says (headwater.model.device.DeviceRecord).
create view device_record as
select
    d.tenant,
    d.device,
    d.tenant || '/' || d.device as key,
    jsonb_build_object(
        'v', 1,
        'tenant', d.tenant,
        'device', d.device,
        'version', d.version,
        'changed_ms', (extract(epoch from d.changed) * 1000)::bigint,
        'deleted', false,
        'kind', d.kind,
        'site', d.site,
        'zone', s.zone,
        'model', d.model,
        'metrics', coalesce(m.metrics, '{}'),
        'tags', to_jsonb(d.tags),
        'attributes', '{"server": {}, "shared": {}, "client": {}}'::jsonb || d.attributes
    )::text as value
from device as d
left join site as s on d.tenant = s.tenant and d.site = s.site
left join model as m on d.tenant = m.tenant and d.model = m.model;

create function registry_version() returns trigger
language plpgsql as $$
begin
    new.version := nextval('registry_version');
    new.changed := clock_timestamp();
    return new;
end
$$;

create trigger registry_version before insert or update on tenant for each row execute function registry_version();
create trigger registry_version before insert or update on site for each row execute function registry_version();
create trigger registry_version before insert or update on model for each row execute function registry_version();
create trigger registry_version before insert or update on device for each row execute function registry_version();

-- An event of device-events (headwater.model.event.DeviceEvent).
create function device_event(of_tenant text, of_device text, kind text, detail text) returns void
language sql as $$
insert into outbox (topic, key, value)
values (
    'device-events',
    of_tenant || '/' || of_device,
    jsonb_build_object(
        'v', 1,
        'tenant', of_tenant,
        'device', of_device,
        'kind', kind,
        'at', (extract(epoch from clock_timestamp()) * 1000)::bigint,
        'detail', detail
    )::text
);
$$;

-- No change without its record, whoever makes it. The changed row is locked by then, so ids follow commits.
create function device_changed() returns trigger
language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        insert into outbox (topic, key, value)
        values (
            'device-registry',
            old.tenant || '/' || old.device,
            jsonb_build_object(
                'v', 1,
                'tenant', old.tenant,
                'device', old.device,
                'version', nextval('registry_version'),
                'changed_ms', (extract(epoch from clock_timestamp()) * 1000)::bigint,
                'deleted', true,
                'kind', '',
                'site', null,
                'zone', null,
                'model', null,
                'metrics', '{}'::jsonb,
                'tags', '[]'::jsonb,
                'attributes', '{"server": {}, "shared": {}, "client": {}}'::jsonb
            )::text
        );
    else
        insert into outbox (topic, key, value)
        select 'device-registry', key, value
        from device_record
        where tenant = new.tenant and device = new.device;
    end if;
    if tg_op = 'INSERT' then
        perform device_event(new.tenant, new.device, 'provisioned', coalesce('site ' || new.site, ''));
    elsif tg_op = 'UPDATE' and old.site is distinct from new.site then
        perform device_event(
            new.tenant, new.device, 'moved',
            'from ' || coalesce(old.site, 'no site') || ' to ' || coalesce(new.site, 'no site')
        );
    end if;
    return null;
end
$$;

create trigger device_changed
after insert or update or delete on device
for each row execute function device_changed();

-- A record says what the site and the model say: their change is one of each of their devices.
create function site_changed() returns trigger
language plpgsql as $$
begin
    update device set site = site where tenant = new.tenant and site = new.site;
    return null;
end
$$;

create trigger site_changed
after update on site
for each row when (old.zone is distinct from new.zone) execute function site_changed();

create function model_changed() returns trigger
language plpgsql as $$
begin
    update device set model = model where tenant = new.tenant and model = new.model;
    return null;
end
$$;

create trigger model_changed
after update on model
for each row when (old.metrics is distinct from new.metrics) execute function model_changed();

-- Brokers listen: a token that is no longer good ends its connection at once.
create function credential_notify() returns trigger
language plpgsql as $$
begin
    perform pg_notify('credential', '');
    return null;
end
$$;

create trigger credential_notify
after insert or update or delete on credential
for each statement execute function credential_notify();

create function credential_changed() returns trigger
language plpgsql as $$
begin
    perform device_event(
        new.tenant, new.device, 'credentials-changed',
        case
            when new.revoked is not null then 'a token was revoked'
            when tg_op = 'UPDATE' and old.revoked is null then 'a token ends ' || coalesce(new.expires::text, 'never')
            else 'a token was given'
        end
    );
    return null;
end
$$;

create trigger credential_changed
after insert or update on credential
for each row execute function credential_changed();

-- migrate:down
drop trigger device_changed on device;
drop trigger registry_version on device;
drop trigger registry_version on tenant;

alter table device
add column token_sha256 text not null default '',
add column revoked timestamptz;

update device
set
    token_sha256 = newest.token_sha256,
    revoked = newest.revoked
from (
    select distinct on (tenant, device)
        tenant,
        device,
        token_sha256,
        revoked
    from credential
    order by tenant asc, device asc, created desc
) as newest
where newest.tenant = device.tenant and newest.device = device.device;

alter table device alter column token_sha256 drop default;
drop view device_record;
drop table credential;
alter table device
drop column site,
drop column model,
drop column tags,
drop column attributes,
drop column version,
drop column changed;
alter table tenant
drop column title,
drop column version,
drop column changed;
drop table model;
drop table site;
drop function credential_changed;
drop function credential_notify;
drop function model_changed;
drop function site_changed;
drop function device_changed;
drop function device_event;
drop function registry_version;
drop sequence registry_version;
