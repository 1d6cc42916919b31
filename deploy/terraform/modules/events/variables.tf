variable "name" {
  description = "What the names begin with."
  type        = string
}

variable "bucket" {
  description = "The bucket whose changes are told."
  type        = string
}

variable "bucket_arn" {
  description = "Its ARN."
  type        = string
}

variable "alerts_topic_arn" {
  description = "The topic that hears of messages nobody could read."
  type        = string
}
