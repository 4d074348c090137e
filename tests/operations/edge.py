"""An edge: nginx with a certificate of an authority of its own, before a server of ours."""
import datetime
import ipaddress
import signal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{ access_log off; {temporary}
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/edge.pem; ssl_certificate_key {folder}/edge.key;
    location / {{ proxy_pass {behind}; }} }} }}
"""


class Edge:
    def __init__(self, programs, port, behind, days):
        self.folder, self.port = programs.folder, port
        self.url = f"https://127.0.0.1:{port}"
        self.authority_key = ec.generate_private_key(ec.SECP256R1())
        self.authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the test")])
        self.authority = self.folder / "authority.pem"
        self.authority.write_bytes(self.sign(self.authority_name, self.authority_key, 365, ca=True))
        self.certify(days)
        temporary = " ".join(f"{kind}_temp_path {self.folder};" for kind in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(CONFIGURATION.format(folder=self.folder, port=port, behind=behind,
                                                                     temporary=temporary))
        self.process = programs.start("nginx", "-c", str(self.folder / "nginx.conf"))

    def sign(self, name, key, days, ca=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(self.authority_name)
                       .public_key(key.public_key()).serial_number(x509.random_serial_number())
                       .not_valid_before(now - datetime.timedelta(hours=1))
                       .not_valid_after(now + datetime.timedelta(days=days))
                       .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
                       .add_extension(x509.SubjectAlternativeName(names), critical=False)
                       .sign(self.authority_key, hashes.SHA256()))
        return certificate.public_bytes(serialization.Encoding.PEM)

    def certify(self, days):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        (self.folder / "edge.pem").write_bytes(self.sign(name, key, days))
        (self.folder / "edge.key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    def renew(self, days):
        self.certify(days)
        self.process.send_signal(signal.SIGHUP)
