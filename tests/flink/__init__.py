"""Jobs on one mini-cluster and one real Kafka a run. Wants the environment of the jobs, not that of the app."""
