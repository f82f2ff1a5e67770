-- migrate:up
alter table sink_offset add column log_id text not null default '';

comment on column sink_offset.log_id is 'topic id given by Kafka: offsets say nothing about another log of that name';

-- migrate:down
alter table sink_offset drop column log_id;
