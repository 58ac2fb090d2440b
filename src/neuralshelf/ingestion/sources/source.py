"""Which source `--pictures` names."""

from pathlib import Path

from neuralshelf.errors import InputError
from neuralshelf.ingestion.sources.archives import Tar, Zip
from neuralshelf.ingestion.sources.bucket import Bucket
from neuralshelf.ingestion.sources.pictures import Folder, Pictures


def open_pictures(source: str, *, profile: str | None = None, region: str | None = None) -> Pictures:
    """A folder, a .zip, .tar, .tar.gz or .tgz file, or `s3://BUCKET/PREFIX`.

    Args:
        profile: of the AWS configuration, for S3; None follows AWS's own order.
        region: of the bucket; None lets boto3 find out.

    Raises:
        InputError: it is none of them, is not there, is damaged, or can't be reached.
        ConfigError: no credentials for S3.
        MissingDependencyError: S3 without the extra `aws`.
    """
    if source.startswith("s3://"):
        return Bucket(source, profile=profile, region=region)
    if "://" in source:
        raise InputError(f"pictures {source[:80]} can't be fetched", hint="give a folder, an archive or s3://BUCKET")
    path = Path(source)
    name = path.name.lower()
    if path.is_file() and name.endswith(".zip"):
        return Zip(path)
    if path.is_file() and name.endswith((".tar", ".tar.gz", ".tgz")):
        return Tar(path)
    if path.is_file():
        raise InputError(f"pictures {path} are no folder and no archive", hint="give a .zip, .tar or .tar.gz file")
    return Folder(path)
