"""A cross-encoder of random weights: it ranks at random, and always alike."""

from __future__ import annotations

from pathlib import Path

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "cement", "steel", "cocoa", "report", "price", ".")


def tiny_cross_encoder(folder: Path, labels: int = 1) -> Path:
    """Write one into the folder; return the folder."""
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        BertTokenizerFast,
    )

    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        num_labels=labels,
        initializer_range=2.0,
    )
    BertForSequenceClassification(config).eval().save_pretrained(folder)
    return folder
