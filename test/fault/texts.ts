import type { Random } from '../../src/core/random.ts'
import type { OutgoingMessage, SourceMessage } from '../../src/formats/message.ts'
import type { Expectation } from './checker.ts'

/** In every text; must not be in any log. */
export const secretWord = 'zyzzogeton'

const words =
  'advice beginner bread code cook doctor eat exercise garden health idea java kitchen learn listen music never often oven pasta python question read recipe run salt sleep snake stretch study syntax teach try walk water write'.split(
    ' ',
  )
/** Larger texts are poison. */
export const maxTextBytes = 2_000

const expectedHeader = 'expected'
const textHeader = 'text-number'

/** A few hundred texts, so that what the model says of each can be known. */
export function someTexts(random: Random, count: number): string[] {
  return Array.from({ length: count }, (_none, number) => {
    const length = 1 + random.integer(25)
    const picked = Array.from({ length }, () => words[random.integer(words.length)] ?? '')
    return `${secretWord} ${number} ${picked.join(' ')}`
  })
}

/** The next message of a run: mostly texts, plain or JSON; some poison, some tombstones. */
export function someMessage(random: Random, texts: readonly string[], poisonShare: number): OutgoingMessage {
  if (random.next() < poisonShare) return poisonMessage(random, somePoison(random))
  if (random.next() < 0.01) {
    return { key: Buffer.from('gone'), value: null, headers: { [expectedHeader]: 'nothing' } }
  }
  const number = random.integer(texts.length)
  const text = texts[number] ?? ''
  const value = random.next() < 0.5 ? text : JSON.stringify({ id: `id-${number}`, text })
  return textMessage(random, number, Buffer.from(value))
}

/** A message with text number `number` in it, which is to be scored. */
export function textMessage(random: Random, number: number, value: Buffer): OutgoingMessage {
  return {
    key: someKey(random),
    value,
    headers: { [expectedHeader]: 'score', [textHeader]: String(number), twice: ['1', '2'] },
  }
}

/** A message that can never be scored. */
export function poisonMessage(random: Random, value: Buffer): OutgoingMessage {
  const headers = { [expectedHeader]: 'dead letter', binary: Buffer.from([0, 255, 10]) }
  return { key: someKey(random), value, headers }
}

const hugeBytes = 10 * 1_048_576

/** Ten megabytes of text, plain or JSON, or of something that is none. */
export function someHugeMessage(random: Random): OutgoingMessage {
  const text = Buffer.alloc(hugeBytes, `${secretWord} `)
  const values = [
    text,
    Buffer.concat([Buffer.from('{"text": "'), text, Buffer.from('"}')]),
    Buffer.alloc(hugeBytes, 0xff),
  ]
  return poisonMessage(random, values[random.integer(values.length)] ?? text)
}

const someKey = (random: Random): Buffer | null =>
  random.next() < 0.5 ? Buffer.from(`key-${random.integer(1_000)}`) : null

function somePoison(random: Random): Buffer {
  const values = [
    Buffer.from(`{"${secretWord}": "no text"}`),
    Buffer.from('{ not json'),
    Buffer.from([0x7a, 0xff, 0xfe, 0x00, 0x80]),
    Buffer.from('   '),
    Buffer.alloc(maxTextBytes + 1, secretWord),
    // a schema that nobody knows, and the number of one in a registry where there is none
    Buffer.from([0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    Buffer.from([0x00, 0, 0, 0, 7, 1, 2, 3]),
  ]
  return values[random.integer(values.length)] ?? Buffer.of()
}

export function expectationOf({ value, headers }: SourceMessage): Expectation {
  const expected = String(headers[expectedHeader])
  return value === null || expected === 'nothing' ? 'nothing' : (expected as Expectation)
}

/** Which of the texts an input holds. */
export const textNumberOf = ({ headers }: SourceMessage): number => Number(headers[textHeader])
