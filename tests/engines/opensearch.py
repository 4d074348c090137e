#!/usr/bin/env python3
"""OpenSearch on loopback, one node: for tests and for the bench.

    opensearch.py fetch                      the artefacts, from Maven, once
    opensearch.py run VARIABLE COMMAND…      a node of its own around a command, which finds its address
                                             (opensearch://HOST:PORT) in VARIABLE

    with Server() as server:
        server.url("tutti")                  # search.store: a name for the index
        server.kill(); server.start()        # what was acknowledged is there again, on the same port
        server.hang(); server.go_on()        # SIGSTOP, SIGCONT
        server.ask("GET", "/_cat/indices?format=json")

No distribution is downloaded: Maven's artefacts of the server, of its HTTP transport and of its analyzers, and a launcher that
puts them together. They lie in ~/.cache/tutti/opensearch-VERSION, beside an archive of Java's loaded classes that halves the
start. A node ends with who started it. Standard library only.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import maven

VERSION = "2.19.6"
CACHE = maven.cache(f"opensearch-{VERSION}")
START_SECONDS = 240  # a bound, for machines that are busy

ARTEFACTS = [("org.opensearch", "opensearch", VERSION), ("org.opensearch.plugin", "transport-netty4-client", VERSION),
             ("org.opensearch.plugin", "analysis-common", VERSION), ("org.apache.logging.log4j", "log4j-core", "2.25.4")]
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>tutti</groupId><artifactId>opensearch</artifactId><version>1</version>
<dependencies>""" + "".join(f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
                            for group, name, version in ARTEFACTS) + "</dependencies></project>"

# Node's constructor that takes plugins is for its children.
LAUNCHER = """import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

public class Launcher extends Node {
    Launcher(Environment environment) {
        super(environment, List.of(Netty4Plugin.class, CommonAnalysisPlugin.class), false);
    }

    public static void main(String[] arguments) throws Exception {
        Settings home = Settings.builder().put("path.home", arguments[0]).build();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            home, Map.of(), Path.of(arguments[0], "config"), () -> "tutti");
        LogConfigurator.setNodeName("tutti");
        LogConfigurator.configure(environment);
        Node node = new Launcher(environment);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception failure) {
                failure.printStackTrace();
            }
        }));
        node.start();
        new java.util.concurrent.CountDownLatch(1).await();
    }
}
"""

# No index comes to be but by who makes it.
SETTINGS = """cluster.name: tutti
node.name: tutti
discovery.type: single-node
network.host: 127.0.0.1
cluster.routing.allocation.disk.threshold_enabled: false
action.auto_create_index: false
"""
LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""
JAVA = ["-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xss512k", "-Dlog4j2.disable.jmx=true", "-Dopensearch.logs.cluster_name=tutti"]


def fetch():
    maven.fetch(CACHE, POM, archive_classes, beside=make_launcher)


def make_launcher(folder):
    (folder / "Launcher.java").write_text(LAUNCHER)
    subprocess.run(["javac", "-cp", f"{folder}/lib/*", "-d", folder / "launcher", folder / "Launcher.java"], check=True, timeout=120)
    subprocess.run(["jar", "--create", "--file", folder / "lib" / "launcher.jar", "-C", folder / "launcher", "."], check=True, timeout=60)


def archive_classes(archive):
    """One node, once."""
    with Server(java=[f"-XX:ArchiveClassesAtExit={archive}"], shared=False) as server:
        server.stop(kill=False)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Server:
    """memory_mb: Java's heap. settings: more lines for opensearch.yml."""

    def __init__(self, memory_mb=512, settings="", java=(), shared=True):
        if shared:
            fetch()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tutti-opensearch-"))
        self.java = [f"-Xmx{memory_mb}m", *JAVA, *java] + ([f"-XX:SharedArchiveFile={CACHE / 'classes.jsa'}"] if shared else [])
        self.port, transport = maven.free_ports(2)
        (self.home / "config").mkdir()
        (self.home / "config" / "opensearch.yml").write_text(f"{SETTINGS}http.port: {self.port}\ntransport.port: {transport}\n{settings}\n")
        (self.home / "config" / "log4j2.properties").write_text(LOGGING)
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.done()

    def start(self):
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["java", *self.java, f"-Dopensearch.path.home={self.home}", "-cp", f"{CACHE / 'lib'}/*", "Launcher", str(self.home)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home, preexec_fn=die_with_parent)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"OpenSearch does not start; the end of {self.home}/log:\n{(self.home / 'log').read_text()[-3000:]}")
            time.sleep(0.05)
        return self

    def is_up(self):
        """It answers, and what is kept can be asked."""
        try:
            return self.ask("GET", "/_cluster/health", timeout_s=2)["status"] != "red"
        except (OSError, KeyError, ValueError):
            return False

    def ask(self, method, path, body=None, timeout_s=30):
        """The answer, parsed; {} where there is none. An error status raises urllib.error.HTTPError."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=timeout_s) as answer:
            return json.loads(answer.read() or b"{}")

    def url(self, name="tutti", options=""):
        return f"opensearch://127.0.0.1:{self.port}/{name}{options}"

    @property
    def pid(self):
        return self.process.pid

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.stop(kill=True)

    def stop(self, kill=True):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self.process.wait(timeout=START_SECONDS)

    def done(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def main():
    if sys.argv[1:] == ["fetch"]:
        fetch()
    elif len(sys.argv) > 3 and sys.argv[1] == "run":
        with Server() as server:
            done = subprocess.run(sys.argv[3:], env={**os.environ, sys.argv[2]: f"opensearch://127.0.0.1:{server.port}"})
        sys.exit(done.returncode)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
