import assert from 'node:assert/strict'
import { test } from 'node:test'
import { table } from '../../src/commands/output.ts'

test('names in a table cannot move the cursor or break a line: they may come from a foreign model', () => {
  const shown = table(['Label', 'Threshold'], [['a\u001b[2Jb\nc', 0.5]])
  assert.deepEqual(shown.split('\n'), [
    'Label     Threshold',
    '--------  ---------',
    'a\ufffd[2Jb\ufffdc        0.5',
  ])
})
