"""Sends every line of standard input to the texts topic: plain text, or JSON like {"id":"1","text":"..."}.

    pip install confluent-kafka
    KAFKA_BROKERS=localhost:9092 python examples/produce_texts.py < examples/texts.jsonl
"""

import json
import os
import sys

from confluent_kafka import Producer

topic = os.environ.get("TOPIC", "texts")
producer = Producer(
    {"bootstrap.servers": os.environ.get("KAFKA_BROKERS", "localhost:9092"), "enable.idempotence": True}
)
failures: list[str] = []


def delivered(error, _message) -> None:
    if error is not None:
        failures.append(str(error))


sent = 0
for line in sys.stdin:
    line = line.rstrip("\n")
    if not line.strip():
        continue
    # texts with an id get it as their key: texts with the same id stay in order
    key = json.loads(line).get("id") if line.startswith("{") else None
    while True:
        try:
            producer.produce(topic, value=line.encode(), key=key, on_delivery=delivered)
            break
        except BufferError:
            producer.poll(1.0)
    producer.poll(0)
    sent += 1
producer.flush()
if failures:
    sys.exit(f"{len(failures)} of {sent} texts were not sent: {failures[0]}")
print(sent, "texts sent")
