-- migrate:up
-- The metrics that analysts have deployed: what the API and the page say of them, and which rows have no readings of
-- their own behind them, so that no audit looks for any. One that was undeployed stays, since its rows do.
create table deployed_metric (
    name text primary key,
    unit text not null,
    owner text not null,
    description text not null,
    grain text not null,
    state text not null check (state in ('starting', 'running', 'failed', 'undeployed')),
    why text not null default '',
    changed timestamptz not null default now()
);

-- migrate:down
drop table deployed_metric;
