"""Headwater: real-time IoT analytics."""
