"""Those who hear of a run after it is on record: progress on the terminal, spans and metrics for OpenTelemetry."""
