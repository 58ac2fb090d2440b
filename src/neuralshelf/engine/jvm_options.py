"""Options of the JVM: the home's jvm.options, made fit for one instance, and what stands in OPENSEARCH_JAVA_OPTS."""

import os
from pathlib import Path

OPTIONS_VARIABLE = "NEURALSHELF_JAVA_OPTIONS"
_VECTOR_MODULE = "--add-modules=jdk.incubator.vector"


def from_environment(heap: str) -> str:
    """Value of OPENSEARCH_JAVA_OPTS: the heap, then what NEURALSHELF_JAVA_OPTIONS holds, which has the last word."""
    return " ".join([f"-Xms{heap}", f"-Xmx{heap}", *os.environ.get(OPTIONS_VARIABLE, "").split()])


def for_instance(text: str, *, home: Path, folder: Path, vector: bool) -> str:
    """Relative paths made absolute, so that one read-only home serves many instances.

    Args:
        text: of the home's config/jvm.options.
        home: read-only, holds the Java agent.
        folder: of the instance; logs and heap dumps go below it.
        vector: False drops the vector module, which a Java runtime without it refuses to start with.
    """
    lines = [line for line in text.splitlines() if vector or _VECTOR_MODULE not in line]
    replacements = {
        "-XX:HeapDumpPath=data": f"-XX:HeapDumpPath={folder}/data",
        "-XX:ErrorFile=logs/": f"-XX:ErrorFile={folder}/logs/",
        "file=logs/gc.log": f"file={folder}/logs/gc.log",
        "filecount=32,filesize=64m": "filecount=2,filesize=8m",
        "-javaagent:agent/": f"-javaagent:{home}/agent/",
    }
    for relative, absolute in replacements.items():
        lines = [line.replace(relative, absolute) for line in lines]
    return "\n".join(lines) + "\n"
