"""Plain data over a pipe: the only thing that passes between a student's process and the grader.

Numbers, strings, lists, tuples, dictionaries and numeric arrays travel as JSON; an array as its type, shape and
bytes.  Nothing that arrives can carry code or behaviour: decoding builds only exact built-in and NumPy types.
"""
from __future__ import annotations

import base64
import json
import math

import numpy as np

KINDS = {"f": "float64", "i": "int64", "u": "int64", "b": "bool", "c": "complex128"}
LARGEST = 64_000_000  # bytes of one message


class NotPlain(TypeError):
    """The value is not plain data."""


def encode(value):
    """The JSON form of a plain value."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, np.ndarray):
        return _encode_array(np.asarray(value))
    if isinstance(value, (list, tuple)):
        return {type(value).__mro__[-2].__name__: [encode(v) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[str(k), encode(v)] for k, v in value.items()]}
    raise NotPlain(f"a {type(value).__name__} where numbers, arrays, lists or text are expected")


def _encode_array(array):
    if array.dtype.kind not in KINDS:
        raise NotPlain(f"an array of {array.dtype} where numbers are expected")
    array = np.ascontiguousarray(array, dtype=KINDS[array.dtype.kind]).reshape(array.shape)
    return {"array": [array.dtype.name, list(array.shape), base64.b64encode(array.tobytes()).decode()]}


def decode(form):
    """The plain value of a JSON form; ``NotPlain`` for anything that ``encode`` does not make."""
    if form is None or type(form) in (bool, int, float, str):
        return form
    if type(form) is not dict or len(form) != 1:
        raise NotPlain("a malformed answer")
    (kind, body), = form.items()
    if kind not in DECODERS or type(body) is not list:
        raise NotPlain("a malformed answer")
    try:
        return DECODERS[kind](body)
    except (ValueError, TypeError, OverflowError) as error:
        raise NotPlain(f"a malformed answer ({error})") from None


def _decode_array(body):
    name, shape, data = body
    if name not in KINDS.values() or not all(type(n) is int and n >= 0 for n in shape):
        raise NotPlain("a malformed array")
    return np.frombuffer(base64.b64decode(data), dtype=name, count=math.prod(shape)).reshape(shape).copy()


DECODERS = {
    "array": _decode_array,
    "complex": lambda body: complex(*map(float, body)),
    "list": lambda body: [decode(v) for v in body],
    "tuple": lambda body: tuple(decode(v) for v in body),
    "dict": lambda body: {str(k): decode(v) for k, v in body},
}


def pack(message: dict) -> bytes:
    """One message: eight bytes of length, then JSON."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(8, "big") + body


def unpack(body: bytes) -> dict:
    """The message of a body; ``NotPlain`` if it is none."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise NotPlain("a malformed answer") from None
    if type(message) is not dict:
        raise NotPlain("a malformed answer")
    return message
