import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lookUp, parseJsonPointer } from '../../src/formats/json-pointer.ts'
import { throwsCode } from '../support/throws-code.ts'

test('the pointers of RFC 6901, section 5, find what it says', () => {
  const document = {
    foo: ['bar', 'baz'],
    '': 0,
    'a/b': 1,
    'c%d': 2,
    'e^f': 3,
    'g|h': 4,
    'i\\j': 5,
    'k"l': 6,
    ' ': 7,
    'm~n': 8,
  }
  const expected: Record<string, unknown> = {
    '': document,
    '/foo': ['bar', 'baz'],
    '/foo/0': 'bar',
    '/': 0,
    '/a~1b': 1,
    '/c%d': 2,
    '/e^f': 3,
    '/g|h': 4,
    '/i\\j': 5,
    '/k"l': 6,
    '/ ': 7,
    '/m~0n': 8,
  }
  for (const [pointer, value] of Object.entries(expected)) {
    assert.deepEqual(lookUp(document, parseJsonPointer(pointer)), value, pointer)
  }
})

test('~01 is the name ~1, not a slash', () => {
  assert.equal(lookUp({ '~1': 'right', '/': 'wrong' }, parseJsonPointer('/~01')), 'right')
})

test('a pointer finds nothing in prototypes, past the end, or inside a string', () => {
  const document = { text: 'abc', list: ['x'] }
  const pointers = [
    '/__proto__',
    '/toString',
    '/list/1',
    '/list/01',
    '/list/-',
    '/list/length',
    '/text/0',
    '/a/b',
  ]
  for (const pointer of pointers) {
    assert.equal(lookUp(document, parseJsonPointer(pointer)), undefined, pointer)
  }
})

test('a pointer without its slash, or with a lone tilde, is refused with the way to write it', async () => {
  for (const pointer of ['text', '/a~b', '/~']) {
    await throwsCode(
      () => parseJsonPointer(pointer, 'input.textPointer'),
      'SETTING_INVALID',
      /input\.textPointer .*~0/,
    )
  }
})
