"""The embedded broker: `nats-server` with MQTT and JetStream, configured from center.toml and the users file."""
