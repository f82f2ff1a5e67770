"""The MQTT broker: HiveMQ Community Edition in this process, with authentication, permissions and back-pressure here.

What it has acknowledged to a device lies in the bridge's persistent session until the bridge acknowledges it, and is
never dropped: before the queue could be full, publishers are refused. Python runs at CONNECT only, and for whoever
registers itself; messages of devices stay in the JVM.
"""
