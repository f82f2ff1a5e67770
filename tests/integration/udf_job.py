"""A job with a Python function of our package; prints what it converts, and where the worker had the package from."""

from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

from udfs.flink import register


@udf(result_type=DataTypes.STRING())
def whence(_value):
    import headwater
    from udfs import units

    return f"{headwater.__file__} {units.__file__}"


if __name__ == "__main__":
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    register(tables)
    tables.create_temporary_system_function("whence", whence)
    query = "select convert_unit(v, 'fahrenheit', 'celsius'), whence(v) from (values (cast(212 as double))) as t(v)"
    with tables.execute_sql(query).collect() as rows:
        for row in rows:
            print(f"converted={row[0]:.1f} whence={row[1]}", flush=True)
