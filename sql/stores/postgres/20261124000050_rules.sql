-- migrate:up
create table rule (
    tenant text not null,
    rule text not null,
    version integer not null,
    record jsonb not null,
    made timestamptz not null default clock_timestamp(),
    primary key (tenant, rule, version)
);

comment on table rule is 'every version of every rule; a deletion is a version too';
comment on column rule.record is 'as it stands on alert-rules (headwater.model.rule.Rule)';

create view rule_newest as
select distinct on (tenant, rule)
    tenant,
    rule,
    version,
    record,
    made,
    coalesce((record ->> 'deleted')::boolean, false) as deleted,
    coalesce((record ->> 'enabled')::boolean, true) as enabled
from rule
order by tenant asc, rule asc, version desc;

-- migrate:down
drop view rule_newest;
drop table rule;
