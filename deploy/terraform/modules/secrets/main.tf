# Places for the application's secrets. People put the values there (docs/aws.md), so none of them
# is ever in a variable, a plan or the state. The database's logins have no password: IAM tokens
# stand in their place.

resource "aws_secretsmanager_secret" "secret" {
  #checkov:skip=CKV2_AWS_57:Keys that others issue (OpenAI, Weaviate): AWS cannot change them by itself
  for_each = var.secrets

  name                    = "${var.name}/${each.key}"
  description             = each.value
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = 30
}
