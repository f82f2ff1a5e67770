-- migrate:up
create table sink_offset (
    sink text not null,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    primary key (sink, topic, partition)
);

comment on column sink_offset."offset" is 'the next offset to read: every row before it is in the store';

create table log_time (
    topic text not null,
    partition integer not null,
    log_time bigint not null,
    primary key (topic, partition)
);

comment on column log_time.log_time is 'up to here (epoch ms) this partition of the log has come through the job';

-- migrate:down
drop table log_time;
drop table sink_offset;
