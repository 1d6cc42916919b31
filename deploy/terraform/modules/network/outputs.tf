output "subnet_group" {
  description = "The name of the DB subnet group."
  value       = aws_db_subnet_group.database.name
}

output "security_group_id" {
  description = "The security group of the database."
  value       = aws_security_group.database.id
}

output "zones" {
  description = "The availability zones of the subnets, sorted."
  value       = sort(distinct([for subnet in data.aws_subnet.private : subnet.availability_zone]))
}
