-- The packs once more, with log time as what rows are ordered by. It runs 1 ms behind: a batch is stamped alike.
create temporary table raw_in_log_time (
    appended timestamp_ltz(3) metadata from 'timestamp' virtual,
    watermark for appended as appended - interval '0.001' second
) like raw_sensor_data (overwriting metadata) -- noqa: PRS
