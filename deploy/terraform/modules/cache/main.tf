# Redis, in which processes that serve the API count requests together. Embeddings are cached in
# PostgreSQL by default (PRD 7.1 says Redis: docs/store.md): what is lost with this is a minute's
# counts.

resource "aws_elasticache_subnet_group" "cache" {
  name        = var.name
  description = "Private subnets of ${var.name}"
  subnet_ids  = var.subnet_ids
}

resource "aws_security_group" "cache" {
  name_prefix = "${var.name}-cache-"
  description = "Redis of ${var.name}"
  vpc_id      = var.vpc_id

  tags = {
    Name = "${var.name}-cache"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.cache.id
  referenced_security_group_id = each.value
  description                  = "Redis from ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}

resource "aws_elasticache_replication_group" "cache" {
  #checkov:skip=CKV_AWS_31:Encrypted in transit; a token would lie in the state, and whom the security group admits may read how many requests a key made
  replication_group_id = var.name
  description          = "Counts of requests of ${var.name}"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.node_type
  num_cache_clusters   = 2

  automatic_failover_enabled = true
  multi_az_enabled           = true
  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  subnet_group_name          = aws_elasticache_subnet_group.cache.name
  security_group_ids         = [aws_security_group.cache.id]
  maintenance_window         = var.maintenance_window
  auto_minor_version_upgrade = true
}
