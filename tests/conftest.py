"""For all rings: machines are shared and noisy, so no example of hypothesis is wrong for being slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("noisy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("noisy")
