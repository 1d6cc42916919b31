variable "name" {
  description = "The name of the replication group."
  type        = string
}

variable "node_type" {
  description = "The class of its nodes."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the clients."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of that VPC."
  type        = list(string)
}

variable "client_security_group_ids" {
  description = "Who may connect, by name."
  type        = map(string)
}

variable "kms_key_arn" {
  description = "The key of what is written to disk."
  type        = string
}

variable "maintenance_window" {
  description = "When AWS may maintain it, in UTC."
  type        = string
}
