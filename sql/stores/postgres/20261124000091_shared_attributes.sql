-- migrate:up
-- Brokers listen: what a device is told has changed. The text names it: tenant/device.
create function shared_notify() returns trigger
language plpgsql as $$
begin
    perform pg_notify(
        'shared_attributes', coalesce(new.tenant, old.tenant) || '/' || coalesce(new.device, old.device)
    );
    return null;
end
$$;

create trigger shared_notify_insert
after insert on device
for each row when (coalesce(new.attributes -> 'shared', '{}') <> '{}') execute function shared_notify();

create trigger shared_notify_update
after update on device
for each row when (
    coalesce(old.attributes -> 'shared', '{}') <> coalesce(new.attributes -> 'shared', '{}')
) execute function shared_notify();

create trigger shared_notify_delete
after delete on device
for each row execute function shared_notify();

-- migrate:down
drop trigger shared_notify_delete on device;
drop trigger shared_notify_update on device;
drop trigger shared_notify_insert on device;
drop function shared_notify;
