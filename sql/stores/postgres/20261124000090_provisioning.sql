-- migrate:up
create table provisioning_key (
    tenant text not null,
    model text not null,
    id text not null,
    key_sha256 text not null,
    most_uses integer,
    uses integer not null default 0,
    created timestamptz not null default now(),
    expires timestamptz,
    revoked timestamptz,
    version bigint not null,
    changed timestamptz not null,
    primary key (tenant, model, id),
    unique (key_sha256),
    foreign key (tenant, model) references model on delete cascade
);

comment on table provisioning_key is 'with one, a device that nobody has registered registers itself as of the model';
comment on column provisioning_key.id is 'names the key, which is never stored itself';
comment on column provisioning_key.key_sha256 is 'SHA-256 of the key, hex; keys have 256 random bits, so no slow hash';
comment on column provisioning_key.most_uses is 'how many devices it may register; null means any number';
comment on column provisioning_key.expires is 'when it ends by itself; null means never';

-- A use is no change of the key: whoever withdraws it does not race with devices.
create trigger registry_version before insert or update of revoked on provisioning_key
for each row execute function registry_version();

-- Whoever makes a change may say in headwater.how, for the transaction, how it came about: its events tell of it.
create or replace function device_event(of_tenant text, of_device text, kind text, detail text) returns void
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
        'detail', concat_ws(', ', nullif(detail, ''), nullif(current_setting('headwater.how', true), ''))
    )::text
);
$$;

-- migrate:down
create or replace function device_event(of_tenant text, of_device text, kind text, detail text) returns void
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

drop table provisioning_key;
