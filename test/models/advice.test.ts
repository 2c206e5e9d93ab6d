import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/core/paths.ts'
import { openModel } from '../../src/models/folder.ts'
import { decideAll, scoresByLabel } from '../../src/models/score-matrix.ts'
import { TextRunner } from '../../src/models/text-runner.ts'
import { checkGolden } from '../../src/models/golden.ts'
import { readJsonLines } from '../../src/train/json-lines.ts'
import { normalText } from '../../src/train/near-duplicates.ts'

const question =
  "my advice is that you go ahead with your plans to learn Python, because its syntax is easy for beginners. It's also great for snake lovers like me!"

test('the shipped model answers the question it was made for, and scores its golden texts as recorded', async () => {
  const model = await openModel('advice', join(packageRoot, 'models'))
  const runner = await TextRunner.start(model, 'logits')
  try {
    const golden = model.manifest.golden.map(({ text }) => text)
    const { values } = await runner.run([...golden, question])
    const { scores } = decideAll(model.decision, values)
    checkGolden(model.folder, model.manifest.golden, model.labels, scores)
    for (const [label, score] of Object.entries(scoresByLabel(model.labels, scores, golden.length))) {
      const expected = label === 'programming_advice' || label === 'advice_for_beginners'
      assert.ok(expected ? score > 0.8 : score < 0.2, `${label} scores ${score}`)
    }
  } finally {
    await runner.close()
  }
})

test('the question is not in the training data: no text shares four words in a row with it', async () => {
  const fourWords = (text: string): string[] => {
    const words = normalText(text).split(' ')
    return words.slice(3).map((_word, start) => words.slice(start, start + 4).join(' '))
  }
  const ofQuestion = new Set(fourWords(question))
  const { texts } = await readJsonLines(join(packageRoot, 'examples', 'advice', 'texts.jsonl'))
  assert.ok(texts.length >= 700)
  assert.deepEqual(
    texts.filter(({ text }) => fourWords(text).some((words) => ofQuestion.has(words))).map(({ id }) => id),
    [],
  )
})
