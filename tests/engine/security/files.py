"""The official files that make up OpenSearch 2.19.1 with the security plugin, pinned by Maven coordinates and SHA-256.

The registry's distribution zip of 2.19.1 holds one module only; the others are put together from their jars. It has no
security plugin that fits 3.6.0, so what roles allow is tested on this version.
"""

from dataclasses import dataclass

from neuralshelf.engine.artifacts import RELEASE, Artifact, Release

VERSION = "2.19.1"
_PLUGIN = "org.opensearch.plugin"
_ASM = "org.ow2.asm"


@dataclass(frozen=True)
class Module:
    """One folder of `modules/`, made of jars.

    Attributes:
        class_name: of its entry point.
        extends: the module that it is loaded after.
        policy: what the security manager lets it do, in the language of Java policy files.
    """

    name: str
    class_name: str
    jars: tuple[Artifact, ...]
    extends: str = ""
    policy: str = ""

    @property
    def descriptor(self) -> str:
        """The text of plugin-descriptor.properties."""
        values = {
            "description": f"The module {self.name}.",
            "version": VERSION,
            "name": self.name,
            "classname": self.class_name,
            "java.version": "11",
            "opensearch.version": VERSION,
            "custom.foldername": "",
            "extended.plugins": self.extends,
            "has.native.controller": "false",
        }
        return "".join(f"{key}={value}\n" for key, value in values.items())


def _jar(group: str, name: str, version: str, sha256: str, size: int) -> Artifact:
    return Artifact(group, name, version, sha256, size, "jar")


def _zip(name: str, sha256: str, size: int) -> Artifact:
    return Artifact(_PLUGIN, name, f"{VERSION}.0", sha256, size)


SECURED = Release(
    Artifact(
        "org.opensearch.distribution.integ-test-zip",
        "opensearch",
        VERSION,
        "af7152d8b7f6f1cee09d47276b32b70479fe6dd8cdbb61213f84eb7f8098b261",
        51_391_430,
    ),
    (
        _zip("opensearch-job-scheduler", "a54e12582b88a4c173d6e58b16fbc609df12a04eff010ae30396905a1a882bf6", 3_318_495),
        _zip("opensearch-knn", "eab8c9818865bc035212eab5068cdacae164baa09d4c152f49b736d6f6b0e85c", 5_888_095),
        _zip("opensearch-ml-plugin", "2324234d81109dcb2c488da5a6b2034cc0f78d9d08e40ce49ba59fc423a5df5f", 362_924_991),
        _zip("neural-search", "b17ca1d774692902c58cbae102bf463970740c31d81446866e8eabd336e285aa", 8_434_600),
        _zip("opensearch-security", "94a04f12ac6033902209fac1e4e512618d45beee604bbf0e42c3ed79c55220cf", 43_828_219),
    ),
    RELEASE.icu,
    unpacked=560_000_000,
)

MODULES = (
    Module(
        "lang-painless",
        "org.opensearch.painless.PainlessPlugin",
        (
            _jar(
                _PLUGIN,
                "lang-painless",
                VERSION,
                "3cf5e02efa40ff5b88e74e1ab66a0bc462de3509fab4a6a4ffe90b8d13777a9a",
                719_758,
            ),
            _jar(
                _PLUGIN,
                "opensearch-scripting-painless-spi",
                VERSION,
                "c2598797a5f6f897ce7e8d05f593ff96de3fbc56c52f299d63cddcae41556dda",
                30_407,
            ),
            _jar(
                "org.antlr",
                "antlr4-runtime",
                "4.13.1",
                "54665d2838cc66458343468efc539e454fc95b46a8a04b13c6ac43fc9be63505",
                326_305,
            ),
            _jar(_ASM, "asm", "9.7", "adf46d5e34940bdf148ecdd26a9ee8eea94496a72034ff7141066b3eea5c4e9d", 125_428),
            _jar(_ASM, "asm-util", "9.7", "37a6414d36641973f1af104937c95d6d921b2ddb4d612c66c5a9f2b13fc14211", 93_784),
            _jar(_ASM, "asm-tree", "9.7", "62f4b3bc436045c1acb5c3ba2d8ec556ec3369093d7f5d06c747eb04b56d52b1", 51_934),
            _jar(
                _ASM, "asm-commons", "9.7", "389bc247958e049fc9a0408d398c92c6d370c18035120395d4cba1d9d9304b7a", 73_426
            ),
            _jar(
                _ASM, "asm-analysis", "9.7", "7bc6bcbc21379948a0c8c467fb0f864206e5b818f6bc0b546872f5c9f941556f", 34_776
            ),
        ),
        policy=(
            "grant {\n"
            '  permission java.lang.RuntimePermission "createClassLoader";\n'
            '  permission java.lang.RuntimePermission "getClassLoader";\n'
            "};\n"
        ),
    ),
    Module(
        "analysis-common",
        "org.opensearch.analysis.common.CommonAnalysisPlugin",
        (
            _jar(
                _PLUGIN,
                "analysis-common",
                VERSION,
                "13fdc1071af42946b13153a62491a5e9b0ad214d44f7c8153d3afef60f558821",
                199_627,
            ),
        ),
        extends="lang-painless",
    ),
    Module(
        "ingest-common",
        "org.opensearch.ingest.common.IngestCommonPlugin",
        (
            _jar(
                _PLUGIN,
                "ingest-common",
                VERSION,
                "8baa5b133f3693265555fb6467deb105877d329e42d2c6a2d496239b8e406461",
                154_112,
            ),
            _jar(
                "org.opensearch",
                "opensearch-grok",
                VERSION,
                "33f7fb192c89ebdea39184f73a3edcab00419cac5e6c53c6f48d9028ac0e8647",
                49_558,
            ),
            _jar(
                "org.opensearch",
                "opensearch-dissect",
                VERSION,
                "25cf8949ac696c389119fe6dd2039241f522abdd46955108f86952f99fced68d",
                23_627,
            ),
            _jar(
                "org.jruby.joni",
                "joni",
                "2.2.1",
                "b3e4b657a3ed1d8f684114f6baa462d553a5932a865c1574695498dda8577748",
                230_217,
            ),
            _jar(
                "org.jruby.jcodings",
                "jcodings",
                "1.0.61",
                "3238c68a2f86cec53cc184ad26df8352db87bb22a419bd17fb4acdfbb0bc40f0",
                1_740_543,
            ),
        ),
        extends="lang-painless",
    ),
    Module(
        "lang-mustache",
        "org.opensearch.script.mustache.MustachePlugin",
        (
            _jar(
                _PLUGIN,
                "lang-mustache-client",
                VERSION,
                "3d688c8d05e517ddad94e439c61183b642aa1784daf7a4d76964d518f6c17135",
                65_665,
            ),
            _jar(
                "com.github.spullara.mustache.java",
                "compiler",
                "0.9.14",
                "99a7e7855609135006f078e6de7ee69daad9c42f98e679d56f80653cb17526b9",
                116_051,
            ),
        ),
        policy='grant {\n  permission java.lang.RuntimePermission "accessDeclaredMembers";\n};\n',
    ),
)
