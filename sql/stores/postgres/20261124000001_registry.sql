-- migrate:up
create table tenant (
    tenant text not null,
    created timestamptz not null default now(),
    primary key (tenant)
);

create table device (
    tenant text not null,
    device text not null,
    kind text not null default '',
    token_sha256 text not null,
    created timestamptz not null default now(),
    revoked timestamptz,
    primary key (tenant, device)
);

comment on column device.token_sha256 is 'SHA-256 of the token, hex; tokens have 128 bits or more, so no slow hash';
comment on column device.revoked is 'when the token was revoked; null while it is good';

insert into tenant (tenant)
values ('demo');

-- migrate:down
drop table device;
drop table tenant;
