"""T5's tokenizer files, of a small vocabulary that is trained on the spot."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

from support.musicgen_checkpoints.writing import write_json

if TYPE_CHECKING:
    from pathlib import Path

EXTRA_IDS = 100


_WORDS = """
music warm calm piano guitar drums bass strings ambient jazz techno rock slow fast bpm key minor major happy sad synth pad
lo fi hip hop choir flute brass melody rhythm loop bright dark soft loud with and the of in a style song track beat groove
café naïve
"""


def _sentencepiece_model() -> bytes:
    import sentencepiece

    rng = random.Random(1)
    ends = [
        "",
        ".",
        "!",
        ", 95 bpm",
        " (live)",
        ": 4/4",
        "; 120-130",
        " & more?",
        " 'q' \"x\" z_j #7 @k +v *w",
    ]
    corpus = [
        " ".join(rng.choices(_WORDS.split(), k=rng.randint(3, 16))) + rng.choice(ends) for _ in range(3000)
    ]
    corpus += ["ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz 0123456789"] * 20
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=written,
        vocab_size=320,
        model_type="unigram",
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return written.getvalue()


def _protobuf_field(message: bytes, number: int) -> bytes:
    """Return a length-delimited field of a protobuf message; the last if there are several."""
    at, found = 0, b""

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        match key & 7:
            case 0:
                varint()
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length = varint()
                if key >> 3 == number:
                    found = message[at : at + length]
                at += length
    return found


def write_tokenizer(folder: Path) -> None:
    import sentencepiece
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    model = _sentencepiece_model()
    (folder / "spiece.model").write_bytes(model)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    extra = [f"<extra_id_{i}>" for i in range(EXTRA_IDS)]
    vocabulary += [(name, 0.0) for name in reversed(extra)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    # Field 3 of a sentencepiece model is its normalizer, field 2 of that the table of replacements.
    tokenizer.normalizer = normalizers.Precompiled(_protobuf_field(_protobuf_field(model, 3), 2))
    space = {"replacement": "▁", "prepend_scheme": "always", "split": True}
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**space)]
    )
    tokenizer.decoder = decoders.Metaspace(**space)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)]
    )
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", *extra])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    write_json(folder / "special_tokens_map.json", special | {"additional_special_tokens": extra})
    write_json(
        folder / "tokenizer_config.json",
        special | {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": EXTRA_IDS},
    )
