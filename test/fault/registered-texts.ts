import type { Random } from '../../src/core/random.ts'
import { confluentHeader } from '../../src/formats/confluent.ts'
import type { OutgoingMessage } from '../../src/formats/message.ts'
import type { FakeRegistry } from '../support/fake-registry.ts'
import { poisonMessage, textMessage } from './texts.ts'

/** So many that members meet new ones all along. */
const schemaCount = 400
const firstId = 1_000
const unknownId = 5_000

/** Gives the registry the schemas that the messages name: all different, each a record with a text. */
export function registerInputSchemas({ schemas }: FakeRegistry): void {
  for (let number = 0; number < schemaCount; number++) {
    const fields = [{ name: 'text', type: 'string' }]
    schemas.set(firstId + number, {
      schema: JSON.stringify({ type: 'record', name: `Text${number}`, fields }),
    })
  }
}

/** A text in Confluent's wire format; some with an id that the registry does not have. */
export function someRegisteredMessage(random: Random, texts: readonly string[]): OutgoingMessage {
  const known = random.next() > 0.02
  const id = known ? firstId + random.integer(schemaCount) : unknownId + random.integer(5)
  const number = random.integer(texts.length)
  const value = Buffer.concat([confluentHeader(id), avroString(texts[number] ?? '')])
  return known ? textMessage(random, number, value) : poisonMessage(random, value)
}

/** Length in bytes as a zigzag varint, then UTF-8. Source: Avro 1.12 specification, "Binary encoding". */
function avroString(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length: number[] = []
  for (let rest = bytes.length * 2; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.concat([Buffer.from([...length, rest]), bytes])
    length.push((rest & 0x7f) | 0x80)
  }
}
