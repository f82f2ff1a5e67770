-- migrate:up
-- How each level is cut, and up to where retention has removed it. Before `edge` there are no rows and none are taken.
create table level (
    level text not null,
    relation text not null,
    unit text not null,
    edge timestamptz not null default '1970-01-01 00:00:00+00',
    primary key (level)
);

insert into level (level, relation, unit)
values
('10s', 'aggregate_10s', 'day'),
('1m', 'rollup_1m', 'month'),
('1h', 'rollup_1h', 'year'),
('1d', 'rollup_1d', 'year');

-- Makes the partition that `at_time` falls into, if it is not there; answers where it starts and ends.
-- Built beside the table and attached: that lets readers and writers of the other partitions go on.
create function make_partition(
    level_name text, at_time timestamptz, out starts timestamptz, out ends timestamptz
)
language plpgsql
as $$
declare
  plan level;
  part text;
begin
  select * into strict plan from level where level = level_name for share;
  starts := date_trunc(plan.unit, at_time, 'UTC');
  ends := (starts at time zone 'UTC' + ('1 ' || plan.unit)::interval) at time zone 'UTC';
  part := plan.relation || '_' || to_char(
    starts at time zone 'UTC', case plan.unit when 'day' then 'YYYYMMDD' when 'month' then 'YYYYMM' else 'YYYY' end
  );
  if to_regclass(part) is not null then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtext('headwater partitions'));
  if to_regclass(part) is not null then
    return;
  end if;
  if starts < plan.edge then
    raise exception 'expected a time from % on, got %: retention has removed what is older', plan.edge, at_time;
  end if;
  execute format(
    'create table %I (like %I including defaults including constraints) with (fillfactor = 50)', part, plan.relation
  );
  execute format('alter table %I attach partition %I for values from (%L) to (%L)', plan.relation, part, starts, ends);
end
$$;

-- Drops the partitions of a level that end before `oldest`, and moves its edge; answers the names of what it dropped.
create function drop_partitions(level_name text, oldest timestamptz) returns setof text
language plpgsql
as $$
declare
  plan level;
  part record;
  new_edge timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('headwater partitions'));
  select * into strict plan from level where level = level_name for update;
  new_edge := date_trunc(plan.unit, oldest, 'UTC');
  if new_edge <= plan.edge then
    return;
  end if;
  update level set edge = new_edge where level = level_name;
  for part in
    select child.oid::regclass::text as name,
      (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz as ends
    from pg_inherits
    inner join pg_class as child on child.oid = pg_inherits.inhrelid
    where pg_inherits.inhparent = plan.relation::regclass
  loop
    if part.ends <= new_edge then
      execute 'drop table ' || part.name;
      return next part.name;
    end if;
  end loop;
end
$$;

-- migrate:down
drop function drop_partitions(text, timestamptz);
drop function make_partition(text, timestamptz);
drop table level;
