import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { normalText, visitNearDuplicates } from '../../src/train/near-duplicates.ts'
import { nearDuplicatesOf, textGroups } from '../../src/train/text-groups.ts'

/** Word pairs by hand, the two ends of the text as words. */
const wordPairs = (text: string): Set<string> => {
  const words = ['<', ...text.split(' '), '>']
  return new Set(words.slice(1).map((word, place) => `${words[place] ?? ''} ${word}`))
}
const jaccard = (a: string, b: string): number => {
  const [first, second] = [wordPairs(a), wordPairs(b)]
  const shared = [...first].filter((pair) => second.has(pair)).length
  return shared / (first.size + second.size - shared)
}

const pairsOf = (texts: readonly string[]): string[] => {
  const pairs: string[] = []
  visitNearDuplicates(texts, {
    skip: () => false,
    found: (a, b) => pairs.push(`${Math.min(a, b)} ${Math.max(a, b)}`),
  })
  return pairs.sort()
}

/** Texts of few words, and edits of them: many pairs on both sides of the border. */
const texts = fc
  .array(
    fc.tuple(
      fc.array(fc.constantFrom<string>('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'), {
        minLength: 1,
        maxLength: 25,
      }),
      fc.array(fc.tuple(fc.nat(24), fc.constantFrom('x', 'y', '')), { maxLength: 2 }),
    ),
    { minLength: 5, maxLength: 25 },
  )
  .map((rows) => {
    const edited = rows.flatMap(([words, edits]) => {
      const copy = [...words]
      for (const [place, word] of edits) if (place < copy.length) copy[place] = word
      return [words.join(' '), copy.filter((word) => word !== '').join(' ')]
    })
    return [...new Set(edited)].filter((text) => text !== '')
  })

test('exactly the pairs whose word pairs have a Jaccard similarity of 0.7 or more are found', () => {
  let near = 0
  fc.assert(
    fc.property(texts, (given) => {
      const expected = given.flatMap((a, place) =>
        given.flatMap((b, other) => (other > place && jaccard(a, b) >= 0.7 ? [`${place} ${other}`] : [])),
      )
      near += expected.length
      assert.deepEqual(pairsOf(given), expected.sort())
    }),
    { numRuns: 400, seed: 1 },
  )
  assert.ok(near > 200, `only ${near} pairs were there to be found`)
})

test('the border itself counts', () => {
  // seven of ten word pairs are shared
  const [a, b] = ['one two three four five six seven', 'one two three four five six seven eight']
  assert.equal(jaccard(a, b), 0.7)
  assert.deepEqual(pairsOf([a, b]), ['0 1'])
})

test('case, punctuation and spacing do not tell texts apart; vowel signs do, and signs where there is nothing else', () => {
  assert.equal(normalText('Ｃａｆé,  ok?'), 'café ok')
  assert.notEqual(normalText('की'), normalText('का'))
  assert.notEqual(normalText('👍'), normalText('👎'))
  assert.equal(normalText(' :) '), ':)')
})

test('a language without spaces has near-duplicates, too', () => {
  const [text, edited] = ['我建议你每天早上喝一杯水然后去散步', '我建议你每天早上喝一杯茶然后去散步']
  assert.deepEqual(pairsOf([text, edited, '今天的天气非常好适合出门旅行拍照']), ['0 1'])
})

const words = [
  'the',
  'old',
  'house',
  'by',
  'the',
  'lake',
  'was',
  'sold',
  'to',
  'a',
  'painter',
  'last',
  'year',
]
const changed = (word: string): string => words.with(8, word).join(' ')

test('near-duplicates are one group, also by way of others', () => {
  const chain = [words.join(' '), changed('for'), words.with(8, 'for').with(2, 'barn').join(' ')]
  assert.ok(jaccard(chain[0] ?? '', chain[2] ?? '') < 0.7)
  const others = Array.from({ length: 50 }, (_, place) => `text ${place}`)
  const { groupOf, templateTexts } = textGroups([...chain, ...others])
  assert.deepEqual([...groupOf.subarray(0, 4)], [0, 0, 0, 1])
  assert.equal(new Set(groupOf).size, 51)
  assert.equal(templateTexts, 0)
})

test('texts of a template are not one group, equal ones among them are', () => {
  const fromTemplate = Array.from({ length: 100 }, (_, place) => changed(`number${place}`))
  const { groupOf, templateTexts } = textGroups([...fromTemplate, ...fromTemplate.map((text) => `${text}!`)])
  assert.equal(new Set(groupOf).size, 100)
  assert.deepEqual([...groupOf.subarray(0, 100)], [...groupOf.subarray(100)])
  assert.equal(templateTexts, 200)
})

test('texts near to others are told, of a template only the equal ones', () => {
  const far = Array.from({ length: 30 }, (_, place) => `text ${place}`)
  const near = nearDuplicatesOf([changed('for'), ...far], [words.join(' '), 'TEXT 3'])
  assert.deepEqual(
    near.isNear.flatMap((isNear, place) => (isNear ? [place] : [])),
    [0, 4],
  )
  assert.equal(near.onlyEqual, false)
  const fromTemplate = Array.from({ length: 100 }, (_, place) => changed(`number${place}`))
  const template = nearDuplicatesOf(fromTemplate, [changed('number7'), changed('other')])
  assert.deepEqual(
    template.isNear.flatMap((isNear, place) => (isNear ? [place] : [])),
    [7],
  )
  assert.equal(template.onlyEqual, true)
})

test('more texts of one template than are followed are still found', () => {
  const fromTemplate = Array.from({ length: 3_000 }, (_, place) => changed(`number${place}`))
  let found = 0
  const joined = new Set<number>()
  visitNearDuplicates(fromTemplate, {
    skip: (a, b) => joined.has(a) && joined.has(b),
    found: (a, b) => {
      joined.add(a).add(b)
      found++
    },
  })
  assert.equal(joined.size, 3_000)
  assert.equal(found, 2_999)
})
