# Who reaches the database (PRD 10.1), and from which subnets.

data "aws_subnet" "private" {
  for_each = toset(var.subnet_ids)
  id       = each.value

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.vpc_id && !self.map_public_ip_on_launch
      error_message = "${self.id} is not a private subnet of ${var.vpc_id}."
    }
  }
}

resource "aws_db_subnet_group" "database" {
  name_prefix = "${var.name}-"
  description = "Private subnets of ${var.name}"
  subnet_ids  = [for subnet in data.aws_subnet.private : subnet.id]
}

# No egress rule: a database answers, it calls nobody (PRD 10.1 allows all; nothing needs it).
resource "aws_security_group" "database" {
  #checkov:skip=CKV2_AWS_5:Attached by modules/database, or by a restore in the region of copies, which are told its id
  name_prefix = "${var.name}-database-"
  description = "PostgreSQL of ${var.name}"
  vpc_id      = var.vpc_id

  tags = {
    Name = "${var.name}-database"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = each.value
  description                  = "PostgreSQL from ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}
