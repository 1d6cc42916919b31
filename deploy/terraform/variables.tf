# What every environment says of itself: where it is, who reaches it, what is copied elsewhere.

variable "profile" {
  description = "The environment: dev, staging or production. Also the application's index parameters (PRD 5.2.1)."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "production"], var.profile)
    error_message = "profile is dev, staging or production."
  }
}

variable "name" {
  description = "What the names of all resources begin with. The roles for restores may make clusters called greenlang-… only."
  type        = string
  default     = "greenlang-vectors"

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9]){2,24}$", var.name))
    error_message = "name has 3 to 25 lower-case letters, digits and single hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "The AWS region. PRD 1.2 promises that data stay in the EU."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is a name such as eu-west-1."
  }
}

variable "tags" {
  description = "Tags of every resource, beside Name, application and environment."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(key, "greenlang:")])
    error_message = "Tags that begin with greenlang: are the application's own."
  }
}

variable "vpc_id" {
  description = "The VPC of the EKS cluster (PRD 4.2)."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id begins with vpc-."
  }
}

variable "private_subnet_ids" {
  description = "Private subnets of that VPC, one a zone: three for PRD 4.2's topology."
  type        = list(string)

  validation {
    condition     = length(distinct(var.private_subnet_ids)) >= 2 && alltrue([for id in var.private_subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "Aurora needs subnets in at least two zones; their ids begin with subnet-."
  }
}

variable "client_security_group_ids" {
  description = "Who may connect, by name: the security groups of EKS and of the embedding service (PRD 10.1)."
  type        = map(string)

  validation {
    condition     = length(var.client_security_group_ids) > 0 && alltrue([for id in values(var.client_security_group_ids) : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "At least one security group; their ids begin with sg-."
  }
}

variable "oidc_provider_arn" {
  description = "The IAM OIDC provider of the EKS cluster, whose service accounts take the roles."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/.+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn is the ARN of an IAM OIDC provider."
  }
}

variable "kubernetes_namespace" {
  description = "The Kubernetes namespace of those service accounts."
  type        = string
  default     = "greenlang-vectors"
}

variable "workloads" {
  description = "One role each: the service accounts that take it, its login in the database, and its policies (modules/iam)."
  type = map(object({
    service_accounts = list(string)
    login            = optional(string)
    policies         = list(string)
  }))
  default = {
    search = {
      service_accounts = ["greenlang-search"]
      login            = "greenlang_search"
      policies         = ["secrets", "encryption"]
    }
    ingest = {
      service_accounts = ["greenlang-ingest"]
      login            = "greenlang_ingest"
      policies         = ["secrets", "encryption", "sources"]
    }
    backup = {
      service_accounts = ["greenlang-backup"]
      login            = "greenlang_backup"
      policies         = ["encryption", "backups"]
    }
    archive = {
      service_accounts = ["greenlang-archive"]
      login            = "greenlang_archive"
      policies         = ["secrets", "encryption", "archive"]
    }
    snapshots = {
      service_accounts = ["greenlang-snapshots"]
      policies         = ["snapshots"]
    }
    recovery = {
      service_accounts = ["greenlang-recovery"]
      login            = "greenlang_recovery"
      policies         = ["encryption", "backups", "snapshots", "restores"]
    }
  }

  validation {
    condition     = alltrue([for each in values(var.workloads) : length(each.service_accounts) > 0])
    error_message = "A role that no service account takes is of no use."
  }

  validation {
    condition     = alltrue([for each in values(var.workloads) : each.login == null || can(regex("^[a-z][a-z0-9_]{0,62}$", each.login))])
    error_message = "A login has lower-case letters, digits and _, as `greenlang-vectors roles create` takes it."
  }
}

variable "secrets" {
  description = "Settings that are secrets: each gets an empty secret, whose value people put there."
  type        = map(string)
  default = {
    GREENLANG_OPENAI_API_KEY   = "The key of OpenAI's models."
    GREENLANG_WEAVIATE_API_KEY = "The API key of the Weaviate server that is moved from."
  }

  validation {
    condition     = alltrue([for name in keys(var.secrets) : startswith(name, "GREENLANG_")])
    error_message = "Secrets are called as the settings they are for."
  }
}

variable "redis_node_type" {
  description = "The class of the ElastiCache nodes in which processes that serve the API count requests together; none without it."
  type        = string
  default     = null
}

variable "alert_emails" {
  description = "Who is written to; each address must confirm. Other subscribers: the output alerts_topic_arn."
  type        = list(string)
  default     = []
}

variable "dr" {
  description = "The region of copies (PRD 12.2), and where a restored cluster would live there. Nothing is copied without it."
  type = object({
    region                    = string
    vpc_id                    = optional(string)
    private_subnet_ids        = optional(list(string), [])
    client_security_group_ids = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.dr == null || try(var.dr.region, "") != var.region
    error_message = "Copies belong in another region."
  }

  validation {
    condition     = var.dr == null || try((var.dr.vpc_id == null) == (length(var.dr.private_subnet_ids) == 0), false)
    error_message = "A VPC goes with its subnets."
  }
}

variable "rds_certificates" {
  description = "Where the container image keeps RDS's certificates, which Aurora's are verified with."
  type        = string
  default     = "/etc/rds/global-bundle.pem"
}

variable "restored_cluster_resource_ids" {
  description = "Resource ids (cluster-…) of restored clusters that the workloads may connect to as well."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.restored_cluster_resource_ids : can(regex("^cluster-[A-Z0-9]+$", id))])
    error_message = "A resource id begins with cluster- and ends in capitals and digits: DbClusterResourceId of `aws rds describe-db-clusters`."
  }
}
