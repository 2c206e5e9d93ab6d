/** Decodes one framed input value (hexadecimal, second argument) with the registry of the first; for check_confluent.py. */
import { writerSchemas } from '../../src/formats/avro-value.ts'
import { decodeInput } from '../../src/formats/input.ts'
import { SchemaRegistry } from '../../src/formats/registry.ts'

const schemas = writerSchemas(new SchemaRegistry({ url: String(process.argv[2]) }))
const message = {
  topic: 'tickets',
  partition: 0,
  offset: 0,
  timestampMs: 0,
  key: null,
  value: Buffer.from(String(process.argv[3]), 'hex'),
  headers: {},
}
const options = { format: 'auto', textPointer: '/text', idPointer: '/id', maxTextBytes: 1_000 } as const
process.stdout.write(JSON.stringify(await decodeInput(message, options, schemas)))
