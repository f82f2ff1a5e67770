-- migrate:up
create table device_version (
    tenant text not null,
    device text not null,
    version bigint not null,
    record jsonb not null,
    changed timestamptz not null,
    deleted boolean not null,
    primary key (tenant, device, version)
);

comment on table device_version is 'the newest versions of every device, also of deleted ones; a deletion is a version too';
comment on column device_version.record is 'as it stands on device-registry (headwater.model.device.DeviceRecord)';
comment on column device_version.changed is 'when that was: changed_ms of the record';

-- Keeps a version of a device and hands its record over. The same version twice is the same content.
create function device_published(record jsonb) returns void
language sql as $$
insert into device_version (tenant, device, version, record, changed, deleted)
values (
    record ->> 'tenant',
    record ->> 'device',
    (record ->> 'version')::bigint,
    record,
    to_timestamp((record ->> 'changed_ms')::bigint / 1000.0),
    (record ->> 'deleted')::boolean
)
on conflict (tenant, device, version) do nothing;

insert into outbox (topic, key, value)
values (
    'device-registry',
    (record ->> 'tenant') || '/' || (record ->> 'device'),
    record::text
);
$$;

-- Nobody changes a device between the version that is taken over and the trigger that keeps the next ones.
lock table device in share row exclusive mode;

insert into device_version (tenant, device, version, record, changed, deleted)
select
    d.tenant,
    d.device,
    d.version,
    r.value::jsonb as record,
    d.changed,
    false as deleted
from device as d
inner join device_record as r on d.tenant = r.tenant and d.device = r.device;

create or replace function device_changed() returns trigger
language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        perform device_published(
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
            )
        );
    else
        perform device_published(value::jsonb)
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

-- migrate:down
create or replace function device_changed() returns trigger
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

drop function device_published;
drop table device_version;
