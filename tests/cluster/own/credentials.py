"""Certificates, tokens and kubeconfig files of a short-lived cluster."""

import json
import secrets
from pathlib import Path

from cluster.command import run
from cluster.own.namespace import ADDRESS

SERVER = f"https://{ADDRESS}:6443"
SERVICE_NETWORK = "10.96.0.0/16"
_API_SERVICE_ADDRESS = "10.96.0.1"
_OPENSSL_SECONDS = 60.0
_USERS = {
    "admin": ("admin", "system:masters"),
    "kubelet": ("system:node:{node}", "system:nodes"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", "system:node-proxier"),
    "coredns": ("sizeup:dns", ""),
}
"""User and group of the token in each kubeconfig."""


class Credentials:
    """A folder with the credentials of one cluster."""

    def __init__(self, folder: Path, node: str) -> None:
        """Create all credentials for a cluster with this single node."""
        folder.mkdir(parents=True)
        self._folder = folder
        self.authority = folder / "ca.crt"
        self.authority_key = folder / "ca.key"
        self.certificate = folder / "server.crt"
        self.key = folder / "server.key"
        self.accounts_key = folder / "accounts.key"
        self.tokens = folder / "tokens.csv"
        self._make_certificates()
        self._make_users(node)

    def kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig of a user."""
        return self._folder / f"{user}.kubeconfig"

    def _make_certificates(self) -> None:
        names = f"subjectAltName=IP:{ADDRESS},IP:{_API_SERVICE_ADDRESS},IP:127.0.0.1,DNS:kubernetes"
        self._make("cluster", self.authority, self.authority_key)
        signed = ["-CA", str(self.authority), "-CAkey", str(self.authority_key), "-addext", names]
        self._make("kube-apiserver", self.certificate, self.key, *signed)
        key = ["openssl", "genrsa", "-out", str(self.accounts_key), "2048"]
        run(key, seconds=_OPENSSL_SECONDS)

    @staticmethod
    def _make(subject: str, certificate: Path, key: Path, *options: str) -> None:
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7"]
        files = ["-subj", f"/CN={subject}", "-keyout", str(key), "-out", str(certificate)]
        run([*new, *files, *options], seconds=_OPENSSL_SECONDS)

    def _make_users(self, node: str) -> None:
        lines = []
        for name, (user, group) in _USERS.items():
            token = secrets.token_hex(16)
            user = user.format(node=node)
            lines.append(f'{token},{user},{user},"{group}"\n')
            self.kubeconfig(name).write_text(json.dumps(self._kubeconfig(token)))
        self.tokens.write_text("".join(lines))

    def _kubeconfig(self, token: str) -> dict[str, object]:
        cluster = {"server": SERVER, "certificate-authority": str(self.authority)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "own", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "me"}}],
            "current-context": "own",
        }
