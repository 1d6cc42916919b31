output "role_arns" {
  description = "The role of each workload, for the annotation eks.amazonaws.com/role-arn of its service accounts."
  value       = { for workload, role in aws_iam_role.workload : workload => role.arn }
}
