"""All configuration, in one typed class read from the environment.

Every setting has a default that works on one machine; `GREENLANG_<NAME>` overrides it. The
profiles carry PRD 5.2.1's index parameters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import psutil
from pydantic import AliasChoices, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from greenlang_vectors.errors import UsageError

PROJECT_ROOT = Path(__file__).resolve().parent.parent

ProfileName = Literal["dev", "staging", "production"]
Backend = Literal["torch", "onnx", "openvino"]
Precision = Literal["float32", "bfloat16", "int8"]
SmtpSecurity = Literal["starttls", "tls", "none"]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
"""libpq's, from the weakest on: https://www.postgresql.org/docs/current/libpq-ssl.html"""


@dataclass(frozen=True, slots=True)
class Profile:
    """HNSW parameters of one deployment size (PRD 5.2.1)."""

    m: int
    ef_construction: int
    ef_search: int


PROFILES: dict[ProfileName, Profile] = {
    "dev": Profile(m=8, ef_construction=100, ef_search=40),
    "staging": Profile(m=16, ef_construction=200, ef_search=100),
    "production": Profile(m=24, ef_construction=400, ef_search=200),
}


def _also_plain(name: str) -> AliasChoices:
    """The names of a setting that is read without its prefix, too, as Weaviate's own tools do."""
    return AliasChoices(f"GREENLANG_{name.upper()}", name)


class Settings(BaseSettings):
    """The settings of one deployment."""

    model_config = SettingsConfigDict(
        env_prefix="GREENLANG_", env_file=None, extra="ignore", hide_input_in_errors=True
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL with pgvector, as a libpq URL; the embedded server when unset.",
    )
    database_reader_urls: SecretStr | None = Field(
        default=None,
        description="Replicas of that database, as libpq URLs with commas between: searches go to "
        "them.",
    )
    reader_max_lag_seconds: float = Field(
        default=5.0, gt=0, description="A reader that is further behind gets no searches."
    )
    database_pool_size: int = Field(
        default=10,
        gt=0,
        description="Connections of one process to each reader; to the writer, twice as many.",
    )
    database_wait_seconds: float = Field(
        default=5.0, gt=0, description="How long a caller waits while all of them are in use."
    )
    database_search_seconds: float = Field(
        default=30.0, gt=0, description="How long a statement of a search may take (PRD 8.3)."
    )
    database_iam_region: str | None = Field(
        default=None,
        description="The AWS region whose IAM tokens stand in place of passwords; TLS is required.",
    )
    database_sslmode: SslMode | None = Field(
        default=None,
        description="How far TLS is asked for: libpq's sslmode. A URL may ask for more, not less.",
    )
    database_sslrootcert: str | None = Field(
        default=None,
        description="The file of the certificates that may sign the server's, such as RDS's bundle;"
        " `system` for those that this machine trusts. With it, sslmode is verify-full by default.",
    )
    database_ssl_min_protocol_version: Literal["TLSv1.2", "TLSv1.3"] = Field(
        default="TLSv1.3", description="The oldest TLS that is spoken where TLS is asked for."
    )
    database_channel_binding: Literal["disable", "prefer", "require"] | None = Field(
        default=None,
        description="Whether a password is bound to the TLS connection: libpq's channel_binding.",
    )
    role_password: SecretStr | None = Field(
        default=None, description="The password `roles create` gives a login."
    )
    role_password_file: Path | None = Field(
        default=None, description="A file that holds that password, as secret managers mount it."
    )
    data_dir: Path = Field(
        default=PROJECT_ROOT / ".greenlang",
        description="Where the embedded server and Dagster keep their files.",
    )
    backup_location: str = Field(
        default_factory=lambda given: str(given["data_dir"] / "backups"),
        description="Where archives and exports go: a folder, or s3://BUCKET/PREFIX.",
    )
    backup_kms_key: str | None = Field(
        default=None,
        description="Key id, ARN or alias in AWS KMS that S3 encrypts them with.",
    )
    backup_compression: str = Field(
        default="gzip:1",
        pattern=r"^[a-z0-9]+(:[a-z0-9,=]+)?$",
        description="What pg_dump compresses exports with: `--compress` of its manual.",
    )
    backup_daily_days: int = Field(
        default=35, gt=0, description="Days that the exports of ordinary days are kept."
    )
    backup_weekly_days: int = Field(
        default=90, gt=0, description="Days that those of Sundays are kept."
    )
    backup_monthly_days: int = Field(
        default=365, gt=0, description="Days that those of a month's first day are kept."
    )
    pg_bin_dir: Path | None = Field(
        default=None,
        description="The folder of pg_dump and pg_restore; when unset those on PATH, or else the"
        " embedded server's.",
    )
    drill_database_url: SecretStr | None = Field(
        default=None,
        description="The server that restore drills make their scratch databases on, as a libpq"
        " URL; the database's own server when unset.",
    )
    aurora_cluster: str | None = Field(
        default=None, description="The Aurora cluster that snapshots are made of."
    )
    aurora_region: str | None = Field(
        default=None, description="Its AWS region; the one boto3 finds when unset."
    )
    aurora_dr_region: str | None = Field(
        default=None, description="The region that snapshots are copied to; none when unset."
    )
    aurora_dr_kms_key: str | None = Field(
        default=None, description="The KMS key, of that region, that encrypts the copies."
    )
    aurora_automated_days: int = Field(
        default=35, ge=1, le=35, description="Days that Aurora keeps automated backups."
    )
    aurora_snapshot_days: int = Field(
        default=90, gt=0, description="Days that snapshots and their copies are kept."
    )
    aurora_monthly_days: int | None = Field(
        default=None, gt=0, description="The same for monthly ones; like the others when unset."
    )
    aurora_snapshot_quota: int = Field(
        default=100, gt=0, description="Manual snapshots AWS lets the account have in a region."
    )
    weaviate_url: str = Field(
        default="http://localhost:8080",
        validation_alias=_also_plain("weaviate_url"),
        description="The Weaviate server that a namespace moves from; WEAVIATE_URL names it, too.",
    )
    weaviate_grpc_host: str | None = Field(
        default=None,
        validation_alias=_also_plain("weaviate_grpc_host"),
        description="Its gRPC host, where that is another; also WEAVIATE_GRPC_HOST.",
    )
    weaviate_grpc_port: int = Field(
        default=50051,
        validation_alias=_also_plain("weaviate_grpc_port"),
        description="Its gRPC port; also WEAVIATE_GRPC_PORT.",
    )
    weaviate_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=_also_plain("weaviate_api_key"),
        description="Its API key; also WEAVIATE_API_KEY.",
    )
    weaviate_export_backend: str | None = Field(
        default=None,
        min_length=1,
        description="The backend (s3, gcs, azure, filesystem) to which Weaviate, from 1.37 on, "
        "exports what a backfill reads; without it, it reads page by page.",
    )
    weaviate_export_location: str | None = Field(
        default=None,
        description="Where that backend can be read from here: a folder, or s3://BUCKET/PREFIX.",
    )
    profile: ProfileName = Field(default="dev", description="Index parameters of PRD 5.2.1.")
    embedding_model: str = Field(
        default="all-MiniLM-L6-v2",
        description="all-MiniLM-L6-v2 (packaged), a sentence-transformers name, a local path, or "
        "text-embedding-3-small.",
    )
    rerank_model: str | None = Field(
        default=None,
        description="The cross-encoder that re-ranks on request: a folder, or the name of one whose"
        " weights are on this machine.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None, description="The key of OpenAI's models; any word where none is asked for."
    )
    openai_base_url: HttpUrl = Field(
        default=HttpUrl("https://api.openai.com/v1"),
        description="Where OpenAI's models are asked: OpenAI, a gateway, or a server like it.",
    )
    openai_timeout_seconds: float = Field(
        default=60.0, gt=0, description="How long one request for embeddings may take."
    )
    max_document_bytes: int = Field(
        default=64 * 1024 * 1024,
        gt=0,
        description="Files larger than this become dead letters (bytes).",
    )
    ocr_languages: str = Field(
        default="",
        pattern=r"^([a-z]{3}(_[a-z]+)*(\+[a-z]{3}(_[a-z]+)*)*)?$",
        description="Languages in which scanned pages of PDFs are recognised, by Tesseract's names"
        " with + between, such as eng+deu. Without them such pages are left out.",
    )
    s3_events_queue_url: str | None = Field(
        default=None,
        description="The SQS queue that S3 tells changes of namespaces' buckets to.",
    )
    kafka_bootstrap_servers: str | None = Field(
        default=None, description="Kafka's brokers, HOST:PORT with commas between."
    )
    kafka_config_file: Path | None = Field(
        default=None,
        description="A file of librdkafka's properties, one NAME=VALUE a line: TLS and SASL.",
    )
    kafka_topics: str = Field(
        default="",
        description="Topics that namespaces are filled from: NAMESPACE=TOPIC, commas between.",
    )
    kafka_references: str | None = Field(
        default=None,
        description="The s3://BUCKET/PREFIX whose objects messages may name instead of a text.",
    )
    chunk_tokens: int = Field(
        default=512,
        gt=2,
        description="Tokens of a chunk (PRD 7.1); never more than the embedding model reads.",
    )
    embedding_batch_size: int = Field(
        default=256,
        gt=0,
        description="Chunks embedded and stored in one step; a killed run repeats at most one.",
    )
    embedding_backend: Backend = Field(
        default="torch",
        description="What runs a model on this machine; `greenlang-vectors bench embedding` tells"
        " the fastest. Torch alone uses a GPU.",
    )
    embedding_precision: Precision = Field(
        default="float32",
        description="What a model on this machine calculates in: torch and openvino in bfloat16,"
        " too, openvino with int8. Another one embeds everything anew.",
    )
    embedding_cache: Literal["postgres", "redis"] = Field(
        default="postgres",
        description="Where vectors that models made are kept: in the database, or at redis_url.",
    )
    embedding_cache_seconds: int = Field(
        default=7 * 24 * 3600, ge=0, description="How long the embedding cache keeps a vector."
    )
    index_build_memory_mb: int = Field(
        default_factory=lambda: min(psutil.virtual_memory().total // 2**20 // 8, 4096),
        ge=1,
        description="The most memory an index build may take on the database server (MiB).",
    )
    index_build_workers: int = Field(
        default_factory=lambda: max(0, (os.cpu_count() or 1) - 1),
        ge=0,
        description="Parallel workers of an index build on the database server.",
    )
    quality_sample: int = Field(
        default=100, gt=0, description="Stored vectors that search quality is measured with."
    )
    recall_target: float = Field(
        default=0.95, gt=0, le=1, description="The recall@10 that a new namespace is promised."
    )
    search_log_share: float = Field(
        default=1.0, ge=0, le=1, description="The share of searches that are logged."
    )
    search_log_days: int = Field(
        default=35, gt=0, description="Days that logged searches are kept and tuned by."
    )
    job_days: int = Field(default=90, gt=0, description="Days that jobs are kept after their end.")
    encryption_key_file: Path | None = Field(
        default=None,
        description="The master key of encrypted namespaces; in the data directory when unset.",
    )
    encryption_kms_key: str | None = Field(
        default=None,
        description="Key id, ARN or alias in AWS KMS that wraps new data keys instead of the file.",
    )
    api_jwks_url: str | None = Field(
        default=None,
        description="Where the keys of tokens that the HTTP API takes are published: an http(s) or"
        " file URL. Without it only API keys open it.",
    )
    api_jwt_issuer: str | None = Field(default=None, description="What `iss` of a token must say.")
    api_jwt_audience: str | None = Field(
        default=None, description="What `aud` of a token must say; needed where tokens are taken."
    )
    api_rate_limit: str = Field(
        default="6000/minute", description="The most requests of one key or one bearer of tokens."
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis, in which processes that serve the API together count requests, and"
        " which may be the embedding cache.",
    )
    api_max_request_bytes: int = Field(
        default=4 * 2**20,
        gt=0,
        description="The most bytes of a request other than an upload, which max_document_bytes"
        " bounds.",
    )
    api_cors_origins: str = Field(
        default="",
        description="Sites whose pages may call the API from a browser, with commas between.",
    )
    api_metrics: Literal["admin", "open"] = Field(
        default="admin",
        description="Who may read /metrics: keys with scope admin, or whoever reaches the port.",
    )
    api_shutdown_seconds: int = Field(
        default=20, gt=0, description="How long requests may take to finish once it is to stop."
    )
    dagster_url: str | None = Field(
        default=None, description="Where people reach Dagster's UI, for links to its runs."
    )
    notify_slack_url: SecretStr | None = Field(
        default=None, description="Slack's incoming webhook that failed runs are told to."
    )
    notify_webhook_url: SecretStr | None = Field(
        default=None, description="Where they are posted to as JSON."
    )
    notify_webhook_secret: SecretStr | None = Field(
        default=None, description="What these posts are signed with (standardwebhooks.com)."
    )
    notify_smtp_host: str | None = Field(
        default=None, description="The server that e-mail of them goes through."
    )
    notify_smtp_port: int | None = Field(
        default=None, gt=0, le=65535, description="Its port; 587, 465 or 25 by its security."
    )
    notify_smtp_security: SmtpSecurity = Field(
        default="starttls", description="How it is spoken to; `none` only without a password."
    )
    notify_smtp_user: SecretStr | None = Field(default=None, description="Who logs in there.")
    notify_smtp_password: SecretStr | None = Field(default=None, description="The password.")
    notify_email_from: str | None = Field(default=None, description="The sender's address.")
    notify_email_to: str = Field(
        default="", description="The recipients' addresses, with commas between."
    )
    notify_repeat_hours: float = Field(
        default=12.0, gt=0, description="How long the same failure is not told again."
    )

    @property
    def index(self) -> Profile:
        """The index parameters of the chosen profile."""
        return PROFILES[self.profile]

    @property
    def encryption_key_path(self) -> Path:
        """Where the master key file is; first use of encryption makes it."""
        return self.encryption_key_file or self.data_dir / "keys" / "master.key"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        UsageError: one of them cannot be what it is; its value, which may be secret, is not told.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"{_variable(fault['loc'][0])}: {fault['msg']}" for fault in error.errors()]
    raise UsageError(f"The settings cannot be used: {'; '.join(faults)}.")


def _variable(field: int | str) -> str:
    """The environment variable of a setting, which pydantic names by field or by variable."""
    name = str(field).upper()
    return name if name == field else f"GREENLANG_{name}"
