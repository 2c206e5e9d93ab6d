"""Checks by hand that Confluent's own Python deserializer reads what we write with a registry, and the other way round
that we read what its serializer writes. Run from the repository root, with a registry that speaks Confluent's API:

    npm run build:test
    pip install "confluent-kafka[avro,schemaregistry]<2.16.1"
    python test/contract/check_confluent.py http://127.0.0.1:8081/apis/ccompat/v7

(deploy/registry/pom.xml says how to get and start one.)
"""

import json
import pathlib
import subprocess
import sys
from datetime import datetime, timezone

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

url = sys.argv[1]
root = pathlib.Path(__file__).resolve().parents[2]
client = SchemaRegistryClient({"url": url})


def run_ours(script: str, *args: str) -> object:
    program = root / "build/test/contract" / script
    return json.loads(subprocess.run(["node", program, url, *args], check=True, capture_output=True).stdout)


def plain(value: object) -> object:
    """Timestamps back as milliseconds."""
    if isinstance(value, datetime):
        return round((value - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1000)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value


deserialize = AvroDeserializer(client)
for row in run_ours("confluent-values.js"):
    context = SerializationContext(row["topic"], MessageField.VALUE)
    read = plain(deserialize(bytes.fromhex(row["bytes"]), context))
    assert read == row["value"], (read, row["value"])
    print("read by Confluent's deserializer:", row["topic"])

ticket = {"type": "record", "name": "Ticket", "fields": [{"name": "id", "type": "long"}, {"name": "text", "type": "string"}]}
serialize = AvroSerializer(client, json.dumps(ticket))
value = serialize({"id": 7, "text": "It broke."}, SerializationContext("tickets", MessageField.VALUE))
assert run_ours("confluent-read.js", value.hex()) == {"id": "7", "text": "It broke."}
print("read by us: what Confluent's serializer wrote")
