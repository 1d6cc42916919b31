"""What Prometheus is told of the database, and whether the service levels are kept (PRD 11, 14.1).

`exporter` answers a scrape out of the parts beside it, each a few cheap questions to PostgreSQL's
catalogue and statistics or to small tables. Labels have few values: namespaces, models, stages and
the like, never what was asked or stored.
"""
