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
from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent

ProfileName = Literal["dev", "staging", "production"]


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


class Settings(BaseSettings):
    """The settings of one deployment."""

    model_config = SettingsConfigDict(env_prefix="GREENLANG_", env_file=None, extra="ignore")

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL with pgvector, as a libpq URL; the embedded server when unset.",
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
        description="Where archives go: a folder, or s3://BUCKET/PREFIX.",
    )
    profile: ProfileName = Field(default="dev", description="Index parameters of PRD 5.2.1.")
    embedding_model: str = Field(
        default="all-MiniLM-L6-v2",
        description="all-MiniLM-L6-v2 (packaged), a sentence-transformers name, a local path, or "
        "text-embedding-3-small.",
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
        default=0.95, gt=0, le=1, description="recall@10 below this fails the blocking check."
    )
    encryption_key_file: Path | None = Field(
        default=None,
        description="The master key of encrypted namespaces; in the data directory when unset.",
    )
    encryption_kms_key: str | None = Field(
        default=None,
        description="Key id, ARN or alias in AWS KMS that wraps new data keys instead of the file.",
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
    """The settings of this process, read once."""
    return Settings()
