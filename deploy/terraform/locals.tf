# What more than one module is told.

locals {
  name          = "${var.name}-${var.profile}"
  account       = split(":", var.oidc_provider_arn)[4]
  bucket_prefix = coalesce(var.bucket_prefix, "${local.name}-${local.account}")
  tags          = merge(var.tags, { application = "greenlang-vectors", environment = var.profile })

  reader_class = coalesce(var.reader_class, var.writer_class)
  classes      = merge({ WRITER = var.writer_class }, var.readers > 0 ? { READER = local.reader_class } : {})
  serverless   = contains(values(local.classes), "db.serverless") ? var.serverless_capacity : null

  # GiB of one instance: r classes have 16 for large and 32 for each x of xlarge, an ACU has 2.
  memory_gib = {
    for part, class in local.classes : part => (
      class == "db.serverless" ? var.serverless_capacity.max * 2 :
      endswith(class, ".large") ? 16 :
      32 * tonumber(coalesce(regex("([0-9]*)xlarge$", class)[0], "1"))
    )
  }
}
