-- migrate:up
-- Patterns are deployed like metrics. What they find is alerts, whose rows no audit looks at.
alter table deployed_metric rename to deployed_query;
alter table deployed_query add column kind text not null default 'metric' check (kind in ('metric', 'pattern'));
alter table deployed_query alter column kind drop default;

-- migrate:down
delete from deployed_query
where kind = 'pattern';

alter table deployed_query drop column kind;
alter table deployed_query rename to deployed_metric;
