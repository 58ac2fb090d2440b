"""What may be sent: a picture is looked at before it costs a network call, and refused with a stable code."""

from pathlib import Path

from neuralshelf.model_packages.server.pictures import PictureError, PictureLimits, decode

LIMITS = PictureLimits()


class Refused(Exception):
    """A document that can't be sent: `code` is stable, the text says why in one line."""

    def __init__(self, code: str, cause: str) -> None:
        super().__init__(cause)
        self.code = code


def admit(picture: Path) -> bytes:
    """The bytes of a picture that a model will take, unchanged: identical files keep identical vectors.

    It is decoded once here as the model server will decode it, so that a broken one costs no request.

    Raises:
        Refused: unreadable, empty, too large, damaged, or not a picture of an allowed format.
    """
    try:
        if picture.stat().st_size > LIMITS.max_bytes:
            raise Refused("TooManyBytes", f"{picture.name}: {picture.stat().st_size} bytes; at most {LIMITS.max_bytes}")
        data = picture.read_bytes()
        decode(data, LIMITS)
    except OSError as fault:
        raise Refused("Unreadable", f"{picture.name}: {fault.strerror}") from None
    except PictureError as fault:
        raise Refused(str(fault.code), f"{picture.name}: {fault.message}") from None
    return data
