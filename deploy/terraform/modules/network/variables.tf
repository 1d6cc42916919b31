variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the clients."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of that VPC in at least two zones."
  type        = list(string)
}

variable "client_security_group_ids" {
  description = "Who may connect, by name."
  type        = map(string)
}
