-- migrate:up
-- How each job is, as its keeper sees it: the API and the page say when one does not run.
create table job_state (
    job text primary key,
    state text not null check (state in ('starting', 'running', 'failing', 'stopped')),
    why text not null default '',
    changed timestamptz not null default now()
);

-- migrate:down
drop table job_state;
