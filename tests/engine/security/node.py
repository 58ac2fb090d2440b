"""One node of OpenSearch 2.19.1 with TLS and logins."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from opensearchpy import OpenSearch

from neuralshelf.client import connect
from neuralshelf.engine.instance import Instance
from neuralshelf.engine.java import Java
from neuralshelf.engine.jvm_options import from_environment
from neuralshelf.engine.ports import choose_port
from neuralshelf.engine.process import Child
from neuralshelf.engine.ready import await_ready
from neuralshelf.engine.user import RunAs
from neuralshelf.errors import EngineError
from neuralshelf.settings import ClusterConfig, Folders, SecretRef

HEAP = "1g"
_SETTINGS = """\
plugins.security.ssl.transport.pemcert_filepath: certs/node.pem
plugins.security.ssl.transport.pemkey_filepath: certs/node.key
plugins.security.ssl.transport.pemtrustedcas_filepath: certs/ca.pem
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.pemcert_filepath: certs/node.pem
plugins.security.ssl.http.pemkey_filepath: certs/node.key
plugins.security.ssl.http.pemtrustedcas_filepath: certs/ca.pem
plugins.security.authcz.admin_dn: ["CN=admin,OU=test,O=shop"]
plugins.security.nodes_dn: ["CN=node,OU=test,O=shop"]
plugins.security.allow_default_init_securityindex: true
plugins.security.restapi.roles_enabled: ["all_access"]
plugins.security.system_indices.enabled: true
"""
_USERS = """\
_meta: {{type: internalusers, config_version: 2}}
admin: {{hash: "{hash}", reserved: true, backend_roles: [admin]}}
"""


@dataclass(frozen=True)
class User:
    """Somebody who may log in. Passwords reach `client.connect` as a user's would, by a file."""

    name: str
    password: str = field(repr=False)
    file: Path

    @classmethod
    def new(cls, name: str, folder: Path) -> "User":
        password = secrets.token_urlsafe(24)
        file = folder / f"{name}.password"
        file.write_text(password, encoding="utf-8")
        return cls(name, password, file)


class SecuredNode:
    """Started by `start`; `stop` ends it. `folders.state` takes all it writes."""

    host_address = "127.0.0.1"

    def __init__(self, home: Path, java: Java, folders: Folders, run_as: RunAs) -> None:
        self._home = home
        self._java = java
        self._run_as = run_as
        self._instance = Instance(folders.state / "engine", run_as)
        self._child: Child | None = None
        self.folder = folders.state
        self.ca = folders.state / "ca.pem"
        self.url = ""
        self.admin = User.new("admin", folders.state)

    def start(self) -> None:
        """Return once it takes the administrator's requests.

        Raises:
            EngineError: with OpenSearch's last words.
        """
        folder = self._instance.folder
        folder.mkdir(mode=0o755)
        self._instance.hold()
        port = choose_port(None, None)
        self._instance.prepare(self._home, self._java, port)
        self._secure(folder / "config")
        self.url = f"https://localhost:{port}"
        env = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
        env |= {
            "HOME": str(folder / "tmp"),
            "OPENSEARCH_JAVA_HOME": str(self._java.home),
            "OPENSEARCH_PATH_CONF": str(folder / "config"),
            "OPENSEARCH_TMPDIR": str(folder / "tmp"),
            "OPENSEARCH_JAVA_OPTS": from_environment(HEAP),
        }
        self._child = Child(
            [str(self._home / "bin" / "opensearch")],
            env=env,
            cwd=folder,
            log=self._instance.log,
            run_as=self._run_as,
            keep=self._instance.engine_lock,
        )
        await_ready(self.client(self.admin), self.url, lambda *_: None, alive=self._check)

    def stop(self) -> None:
        """End the JVM; can be called twice."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(20)
        self._instance.release()

    def cluster(self, user: User) -> ClusterConfig:
        """What an environment file would say to log in as `user`."""
        return ClusterConfig(
            provider="url",
            url=self.url,
            auth="basic",
            username=user.name,
            password=SecretRef(file=str(user.file)),
            ca_certs=str(self.ca),
        )

    def client(self, user: User) -> OpenSearch:
        """A client that is logged in as `user`."""
        return connect(self.cluster(user))

    def add_user(self, client: OpenSearch, name: str, role: str, body: Any) -> User:
        """A new user who has the new role `role` and nothing else."""
        user = User.new(name, self.folder)
        api = "/_plugins/_security/api"
        client.transport.perform_request("PUT", f"{api}/roles/{role}", body=body)
        account = {"password": user.password, "opendistro_security_roles": [role]}
        client.transport.perform_request("PUT", f"{api}/internalusers/{name}", body=account)
        return user

    def _check(self) -> None:
        assert self._child is not None
        if self._child.status is not None:
            raise EngineError(f"OpenSearch ended: {self._child.last_words()}", hint=f"see {self._instance.log}")

    def _secure(self, config: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        node = authority.issue_cert(
            "localhost", "127.0.0.1", common_name="node", organization_name="shop", organization_unit_name="test"
        )
        certificates = config / "certs"
        certificates.mkdir()
        authority.cert_pem.write_to_path(certificates / "ca.pem")
        (certificates / "node.pem").write_bytes(b"".join(part.bytes() for part in node.cert_chain_pems))
        key = load_pem_private_key(node.private_key_pem.bytes(), None)  # OpenSearch takes PKCS#8 only
        (certificates / "node.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with (config / "opensearch.yml").open("a", encoding="utf-8") as file:
            file.write(_SETTINGS)
        hashed = bcrypt.hashpw(self.admin.password.encode(), bcrypt.gensalt(10)).decode()
        users = config / "opensearch-security" / "internal_users.yml"
        users.write_text(_USERS.format(hash=hashed), encoding="utf-8")
        for path in (certificates, *certificates.iterdir(), config / "opensearch.yml", users):
            path.chmod(0o700 if path.is_dir() else 0o600)
        self._run_as.own(certificates)
        for path in (config / "opensearch.yml", users):
            self._run_as.own(path)
