"""A Java class that tells what a Java runtime can do. Compiled, since most runtimes have no compiler with them.

SOURCE is what CLASS was made of (`javac --release 10 -XDstringConcat=inline -g:none`, any JDK); a test does so again.
"""

import base64
from pathlib import Path

SOURCE = """\
import java.lang.module.ModuleFinder;
import java.text.BreakIterator;
import java.util.Locale;

class JavaProbe {
    public static void main(String[] args) {
        BreakIterator words = BreakIterator.getWordInstance(new Locale("th"));
        words.setText("\\u0e20\\u0e32\\u0e29\\u0e32\\u0e44\\u0e17\\u0e22");
        System.out.println(Runtime.version().feature()
            + " " + ModuleFinder.ofSystem().find("jdk.incubator.vector").isPresent()
            + " " + words.isBoundary(4)
            + " " + System.getProperty("java.home"));
    }
}
"""

CLASS = """
yv66vgAAADYAZgoAAgADBwAEDAAFAAYBABBqYXZhL2xhbmcvT2JqZWN0AQAGPGluaXQ+AQADKClWBwAIAQAQamF2YS91dGlsL0xvY2FsZQgA
CgEAAnRoCgAHAAwMAAUADQEAFShMamF2YS9sYW5nL1N0cmluZzspVgoADwAQBwARDAASABMBABdqYXZhL3RleHQvQnJlYWtJdGVyYXRvcgEA
D2dldFdvcmRJbnN0YW5jZQEALShMamF2YS91dGlsL0xvY2FsZTspTGphdmEvdGV4dC9CcmVha0l0ZXJhdG9yOwgAFQEAFeC4oOC4suC4qeC4
suC5hOC4l+C4ogoADwAXDAAYAA0BAAdzZXRUZXh0CQAaABsHABwMAB0AHgEAEGphdmEvbGFuZy9TeXN0ZW0BAANvdXQBABVMamF2YS9pby9Q
cmludFN0cmVhbTsHACABABdqYXZhL2xhbmcvU3RyaW5nQnVpbGRlcgoAHwADCgAjACQHACUMACYAJwEAEWphdmEvbGFuZy9SdW50aW1lAQAH
dmVyc2lvbgEAHSgpTGphdmEvbGFuZy9SdW50aW1lJFZlcnNpb247CgApACoHACsMACwALQEAGWphdmEvbGFuZy9SdW50aW1lJFZlcnNpb24B
AAdmZWF0dXJlAQADKClJCgAfAC8MADAAMQEABmFwcGVuZAEAHChJKUxqYXZhL2xhbmcvU3RyaW5nQnVpbGRlcjsIADMBAAEgCgAfADUMADAA
NgEALShMamF2YS9sYW5nL1N0cmluZzspTGphdmEvbGFuZy9TdHJpbmdCdWlsZGVyOwsAOAA5BwA6DAA7ADwBAB1qYXZhL2xhbmcvbW9kdWxl
L01vZHVsZUZpbmRlcgEACG9mU3lzdGVtAQAhKClMamF2YS9sYW5nL21vZHVsZS9Nb2R1bGVGaW5kZXI7CAA+AQAUamRrLmluY3ViYXRvci52
ZWN0b3ILADgAQAwAQQBCAQAEZmluZAEAKChMamF2YS9sYW5nL1N0cmluZzspTGphdmEvdXRpbC9PcHRpb25hbDsKAEQARQcARgwARwBIAQAS
amF2YS91dGlsL09wdGlvbmFsAQAJaXNQcmVzZW50AQADKClaCgAfAEoMADAASwEAHChaKUxqYXZhL2xhbmcvU3RyaW5nQnVpbGRlcjsKAA8A
TQwATgBPAQAKaXNCb3VuZGFyeQEABChJKVoIAFEBAAlqYXZhLmhvbWUKABoAUwwAVABVAQALZ2V0UHJvcGVydHkBACYoTGphdmEvbGFuZy9T
dHJpbmc7KUxqYXZhL2xhbmcvU3RyaW5nOwoAHwBXDABYAFkBAAh0b1N0cmluZwEAFCgpTGphdmEvbGFuZy9TdHJpbmc7CgBbAFwHAF0MAF4A
DQEAE2phdmEvaW8vUHJpbnRTdHJlYW0BAAdwcmludGxuBwBgAQAJSmF2YVByb2JlAQAEQ29kZQEABG1haW4BABYoW0xqYXZhL2xhbmcvU3Ry
aW5nOylWAQAMSW5uZXJDbGFzc2VzAQAHVmVyc2lvbgAgAF8AAgAAAAAAAgAAAAUABgABAGEAAAARAAEAAQAAAAUqtwABsQAAAAAACQBiAGMA
AQBhAAAAaAAEAAIAAABcuwAHWRIJtwALuAAOTCsSFLYAFrIAGbsAH1m3ACG4ACK2ACi2AC4SMrYANLgANxI9uQA/AgC2AEO2AEkSMrYANCsH
tgBMtgBJEjK2ADQSULgAUrYANLYAVrYAWrEAAAAAAAEAZAAAAAoAAQApACMAZQAZ
"""


def write_probe(folder: Path) -> Path:
    """Put the class into `folder` for `java -cp folder JavaProbe`; returns `folder`.

    It prints `VERSION VECTOR THAI HOME`: the feature version, whether the module jdk.incubator.vector is there, whether
    Thai words are told apart (OpenSearch can't create any index without), and where the runtime lies.
    """
    (folder / "JavaProbe.class").write_bytes(base64.b64decode(CLASS))
    return folder
