-- migrate:up
-- Devices are locked by name, as everybody does who changes many: two that lock in other orders wait for each other.
create or replace function site_changed() returns trigger
language plpgsql as $$
begin
    perform 1 from device
    where tenant = new.tenant and site = new.site
    order by tenant, device
    for no key update;
    update device set site = site where tenant = new.tenant and site = new.site;
    return null;
end
$$;

create or replace function model_changed() returns trigger
language plpgsql as $$
begin
    perform 1 from device
    where tenant = new.tenant and model = new.model
    order by tenant, device
    for no key update;
    update device set model = model where tenant = new.tenant and model = new.model;
    return null;
end
$$;

-- migrate:down
create or replace function site_changed() returns trigger
language plpgsql as $$
begin
    update device set site = site where tenant = new.tenant and site = new.site;
    return null;
end
$$;

create or replace function model_changed() returns trigger
language plpgsql as $$
begin
    update device set model = model where tenant = new.tenant and model = new.model;
    return null;
end
$$;
