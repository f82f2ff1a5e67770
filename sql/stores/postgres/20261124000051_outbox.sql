-- migrate:up
create table outbox (
    id bigint generated always as identity,
    topic text not null,
    key text not null,
    value text not null,
    made timestamptz not null default now(),
    primary key (id)
);

comment on table outbox is 'records for Kafka, written with the change that they tell of, deleted once acknowledged';
comment on column outbox.id is 'the order of publishing; of one key also that of commits, if writers lock first';
comment on column outbox.value is 'JSON';

create function outbox_notify() returns trigger
language plpgsql as $$
begin
    perform pg_notify('outbox', '');
    return null;
end
$$;

create trigger outbox_notify
after insert on outbox
for each statement execute function outbox_notify();

-- migrate:down
drop table outbox;
drop function outbox_notify;
