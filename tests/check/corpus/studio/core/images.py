import io

import pandas as pd
from PIL import Image


def thumbnail(data: bytes, size: int = 128) -> bytes:
    image = Image.open(io.BytesIO(data))
    image = image.convert("RGB").resize((size, size))
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def size_label(width: int, height: int) -> str:
    return f"{width}x{height}"


def summarise(raw: bytes) -> dict:
    frame = pd.read_csv(io.BytesIO(raw))
    return frame.describe().to_dict()
