import type { LabelScores } from '../../src/formats/scores.ts'

/** A score event in which every field has a value of its own, one of them beyond ASCII. */
export const scoreEvent: LabelScores = {
  eventId: 'texts/0/1',
  id: 'grüße',
  source: { topic: 'texts', partition: 0, offset: 1, timestamp: 1_767_225_600_123 },
  model: { name: 'advice', version: '1', digest: 'ab', precision: 'int8' },
  scores: { cooking_advice: 0.5, not_advice: 0.25 },
  labels: ['cooking_advice'],
  tokens: 7,
  windows: 1,
  truncated: false,
  scoredAt: 1_767_225_600_456,
}
