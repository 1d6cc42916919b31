"""Settings that cannot be are one line that names the variable, and never its value."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings, get_settings


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("GREENLANG_EMBEDDING_BACKEND", "cuda", "'torch', 'onnx' or 'openvino'"),
        ("GREENLANG_DATABASE_POOL_SIZE", "-1", "greater than 0"),
        ("GREENLANG_OPENAI_BASE_URL", "hunter2", "valid URL"),
    ],
)
def test_the_variable_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    get_settings.cache_clear()
    try:
        with pytest.raises(UsageError) as caught:
            get_settings()
    finally:
        get_settings.cache_clear()
    assert f"{variable}: " in str(caught.value)
    assert says in str(caught.value)
    assert value not in str(caught.value)
    with pytest.raises(ValidationError) as raw:
        Settings()
    assert value not in str(raw.value)
