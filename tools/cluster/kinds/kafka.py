"""Kafka: three brokers that are their own controllers (KRaft), by tests/engines/kafka.py."""
import kafka
from node import Node

SMALLER = "num.network.threads=1\nlog.segment.bytes=16777216\n"


class Kafka(Node):
    kind = "kafka"
    port = 9092

    def brokers(self):
        nodes = self.others()

        class Brokers(kafka.Kafka):
            def broker_folder(self, n):
                return nodes[n].folder

        brokers = Brokers(self.folder, brokers=len(nodes), ports=[9092] * len(nodes) + [9093] * len(nodes), settings=SMALLER,
                          java=["-Xmx192m", "-XX:MaxMetaspaceSize=96m"])
        brokers.hosts = [node.address for node in nodes]
        return brokers

    def number_here(self):
        return self.others().index(self)

    def prepare(self):
        kafka.fetch()
        self.brokers().write_settings(self.number_here())

    def command(self):
        return self.brokers().command(self.number_here())
