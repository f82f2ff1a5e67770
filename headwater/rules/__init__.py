"""What an alert is: pure functions of readings and rules, no clock, no Flink, no I/O. `step` is the heart."""
