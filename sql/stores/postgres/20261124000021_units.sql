-- migrate:up
-- A partition is dropped when retention has outlived all of it: 1 min rows by the month and 1 h rows by the year kept
-- more than retention says, by up to 13 GB with 800 series.
create function recut(level_name text, new_unit text) returns void
language plpgsql
as $$
declare
  plan level;
  part text;
begin
  update level set unit = new_unit where level = level_name returning * into strict plan;
  for part in
    select inhrelid::regclass::text from pg_inherits where inhparent = plan.relation::regclass
  loop
    execute format('alter table %I detach partition %s', plan.relation, part);
    execute format(
      'select make_partition(%L, starts) from (
        select distinct date_trunc(%L, bucket, ''UTC'') as starts from %s where bucket >= %L
      ) as wanted where starts >= %L', level_name, new_unit, part, plan.edge, plan.edge
    );
    execute format('insert into %I select * from %s where bucket >= %L', plan.relation, part, plan.edge);
    execute format('drop table %s', part);
  end loop;
end
$$;

select recut('1m', 'day');
select recut('1h', 'month');
drop function recut(text, text);

-- migrate:down
create function recut(level_name text, new_unit text) returns void
language plpgsql
as $$
declare
  plan level;
  part text;
begin
  update level
  set unit = new_unit, edge = date_trunc(new_unit, edge, 'UTC')
  where level = level_name returning * into strict plan;
  create temporary table kept as select * from rollup_1m limit 0;
  for part in
    select inhrelid::regclass::text from pg_inherits where inhparent = plan.relation::regclass
  loop
    execute format('insert into kept select * from %s', part);
    execute format('drop table %s', part);
  end loop;
  perform make_partition(level_name, starts)
  from (select distinct date_trunc(new_unit, bucket, 'UTC') as starts from kept) as wanted;
  execute format('insert into %I select * from kept', plan.relation);
  drop table kept;
end
$$;

select recut('1m', 'month');
select recut('1h', 'year');
drop function recut(text, text);
