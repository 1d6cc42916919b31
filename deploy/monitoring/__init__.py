"""Alerts for Prometheus and dashboards for Grafana; docs/monitoring.md says how to use them."""
