-- The readings that the test of a pattern is given, in the place of `slices`. They come in their order, since they are counted.
create temporary table slices (
    place int,
    tenant as ${tenant},
    device as ${device},
    metric as ${metric},
    pane as ${ts},
    `at` as array[0],
    vs as array[${value}],
    appended as to_timestamp_ltz(${log_time}, 3),
    watermark for appended as appended - interval '0.001' second
) with (
    'connector' = 'datagen',
    'fields.place.kind' = 'sequence',
    'fields.place.start' = '1',
    'fields.place.end' = '${count}'
)
