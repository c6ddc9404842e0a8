"""The simulator's page: the virtual site as a plan, and buttons for what people and cars do there."""

from sim.web.app import create, serve

__all__ = ["create", "serve"]
