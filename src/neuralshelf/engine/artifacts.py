"""The official files that make up the embedded engine, pinned by Maven coordinates and SHA-256."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Artifact:
    """One file of a Maven repository.

    Attributes:
        sha256: hex digest of the file; half of the plugin zips have no checksum beside them in the repository.
        size: bytes, to say beforehand what a fetch needs.
    """

    group: str
    name: str
    version: str
    sha256: str
    size: int
    packaging: str = "zip"

    @property
    def file_name(self) -> str:
        """As the repository names it."""
        return f"{self.name}-{self.version}.{self.packaging}"


@dataclass(frozen=True)
class Release:
    """All files of one version of the engine.

    Attributes:
        plugins: in the order in which they depend on each other.
        icu: two jars for a Java runtime that was cut without Thai word boundaries: classes, and what announces
            them.
        unpacked: bytes that the assembled home takes.
    """

    distribution: Artifact
    plugins: tuple[Artifact, ...]
    icu: tuple[Artifact, Artifact]
    unpacked: int

    @property
    def version(self) -> str:
        """Of OpenSearch."""
        return self.distribution.version


_DISTRIBUTION = Artifact(
    "org.opensearch.distribution.integ-test-zip",
    "opensearch",
    "3.6.0",
    "a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
    161_609_640,
)
_PLUGINS = (
    Artifact(
        "org.opensearch.plugin",
        "opensearch-job-scheduler",
        "3.6.0.0",
        "f81d0aa9fc850b18f803292bd7ae68bd33561f6c1d12db0f68529d40eddcee24",
        368_626,
    ),
    Artifact(
        "org.opensearch.plugin",
        "opensearch-knn",
        "3.6.0.0",
        "ac392ca28a39b3bf290648a422ef30cb149dda2963a9d7feb26060e932341c9a",
        6_015_541,
    ),
    Artifact(
        "org.opensearch.plugin",
        "opensearch-ml-plugin",
        "3.6.0.0",
        "c051d436fe1936da1477bb999db829eb2bc92b12989e376c300d0a874fb90f9d",
        390_566_619,
    ),
    Artifact(
        "org.opensearch.plugin",
        "neural-search",
        "3.6.0.0",
        "6ef1b206e79391e2e36268e32dc34d27fd8b8a59a8eb0a7393c97d53b038e433",
        12_095_213,
    ),
)
_ICU = Artifact(
    "com.ibm.icu",
    "icu4j",
    "77.1",
    "b3640b9f416a4411fd33c59abbeea8fd57d024c23e1819bf9673220a97499fe3",
    14_663_227,
    "jar",
)
_ICU_LOCALE_SPI = Artifact(
    "com.ibm.icu",
    "icu4j-localespi",
    "77.1",
    "77d0da4f10c6158174cc3dafbb51356031a09e0fcaaf0432330afb4fb552cac9",
    50_797,
    "jar",
)
RELEASE = Release(_DISTRIBUTION, _PLUGINS, (_ICU, _ICU_LOCALE_SPI), unpacked=640_000_000)
