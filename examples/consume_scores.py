"""Prints the scores topic, one line a text: its id, the decided labels, and the score of each.

    pip install confluent-kafka fastavro
    KAFKA_BROKERS=localhost:9092 python examples/consume_scores.py

It needs the file schemas/LabelScores.avsc, nothing else of labelstream. Where labelstream writes with a schema
registry, say which: REGISTRY_URL=http://localhost:8081
"""

import functools
import io
import json
import os
import urllib.request

from confluent_kafka import Consumer, KafkaException
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, load_schema, to_parsing_canonical_form

SCHEMA = load_schema("schemas/LabelScores.avsc")
# 0xC3 0x01 and the schema's fingerprint: how a value starts without a registry
HEADER = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO"))


@functools.cache
def registered_schema(schema_id: int):
    with urllib.request.urlopen(f"{os.environ['REGISTRY_URL']}/schemas/ids/{schema_id}") as response:
        return parse_schema(json.loads(json.load(response)["schema"]))


def decode(value: bytes) -> dict:
    if value.startswith(HEADER):
        return schemaless_reader(io.BytesIO(value[10:]), SCHEMA, SCHEMA)
    if value[0] != 0:
        raise ValueError("this value is neither in single-object encoding nor of a registry")
    return schemaless_reader(io.BytesIO(value[5:]), registered_schema(int.from_bytes(value[1:5], "big")), SCHEMA)


consumer = Consumer(
    {
        "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "localhost:9092"),
        "group.id": os.environ.get("GROUP", "consume-scores-example-py"),
        "auto.offset.reset": "earliest",
    }
)
consumer.subscribe([os.environ.get("TOPIC", "scores")])
try:
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        if message.value() is None:
            continue
        event = decode(message.value())
        scores = sorted(event["scores"].items(), key=lambda item: -item[1])
        listed = ", ".join(f"{label} {score:.2f}" for label, score in scores)
        print(event["id"], ", ".join(event["labels"]) or "-", f"({listed})", sep="\t", flush=True)
except KeyboardInterrupt:
    pass
finally:
    consumer.close()
