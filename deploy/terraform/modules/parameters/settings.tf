# The server's settings. AWS works the formulas out for each instance: DBInstanceClassMemory is in
# bytes, shared_buffers and effective_cache_size are in pages of 8 KiB, the others in KiB.

locals {
  # PRD 18.2, whose numbers are those of a server with 64 GiB. hnsw.ef_search, the last of them, is
  # no setting of a parameter group: the application sets it for each search.
  instance_settings = {
    shared_buffers                  = "{DBInstanceClassMemory/${floor(8192 * 100 / var.shared_buffers_percent)}}"
    effective_cache_size            = "{DBInstanceClassMemory/10922}"  # 75%
    maintenance_work_mem            = "{DBInstanceClassMemory/32768}"  # 2 GiB of 64
    work_mem                        = "{DBInstanceClassMemory/262144}" # 256 MiB of 64 GiB
    max_parallel_workers_per_gather = "4"
    random_page_cost                = "1.1"
  }

  cluster_settings = {
    # PRD 10.2. Clients ask for TLS 1.3 themselves; this is for those who do not.
    "rds.force_ssl"                     = "1"
    "ssl_min_protocol_version"          = "TLSv1.2"
    "rds.accepted_password_auth_method" = "scram"
    "password_encryption"               = "scram-sha-256"
    # PRD 10.4.
    "shared_preload_libraries"   = "pg_stat_statements,pgaudit"
    "pgaudit.role"               = "rds_pgaudit"
    "pgaudit.log"                = "write,ddl"
    "pgaudit.log_catalog"        = "0"
    "pgaudit.log_relation"       = "1"
    "pgaudit.log_statement_once" = "1"
    # What is slow, waits or spills, never what was asked or stored.
    "log_min_duration_statement"        = tostring(var.slow_statement_ms)
    "log_statement"                     = "none"
    "log_parameter_max_length"          = "0"
    "log_parameter_max_length_on_error" = "0"
    "log_lock_waits"                    = "1"
    "log_temp_files"                    = "65536"
    "log_connections"                   = "1"
    "log_disconnections"                = "1"
  }

  # Those that AWS calls static: they take effect when an instance restarts.
  static_settings = ["shared_buffers", "shared_preload_libraries"]

  family = "aurora-postgresql${split(".", var.engine_version)[0]}"
}
