"""What a door counts, for Prometheus. One set a process: a process is one door."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

MESSAGES = Counter("headwater_door_messages", "Messages received")
EVENTS = Counter("headwater_door_events", "Events of devices received from the broker")
ATTRIBUTES = Counter("headwater_door_attributes", "Messages of attributes received")
READINGS = Counter("headwater_door_readings", "Readings taken")
RECORDS = Counter("headwater_door_records", "Packs handed to Kafka")
REFUSED = Counter("headwater_door_refused", "Readings (or whole messages) refused, by reason", ["reason"])
DEAD_LETTERS = Counter("headwater_door_dead_letters", "Dead letters written, by reason", ["reason"])
ACKNOWLEDGED = Counter("headwater_door_acknowledged", "Messages acknowledged after Kafka's report")
UNPROMISED = Counter("headwater_door_unpromised_dropped", "QoS 0 messages dropped because Kafka was too far behind")
IN_FLIGHT = Gauge("headwater_door_in_flight", "Messages received and not yet acknowledged")
