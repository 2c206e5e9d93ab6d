/** Registers our schemas at the registry named on the command line and prints framed values; for check_confluent.py. */
import { confluentHeader } from '../../src/formats/confluent.ts'
import { labeledTextEncoder, labeledTextSchemaText } from '../../src/formats/labeled-text.ts'
import { SchemaRegistry, valueSubject } from '../../src/formats/registry.ts'
import { labelScoresEncoder, labelScoresSchemaText } from '../../src/formats/scores.ts'

const registry = new SchemaRegistry({ url: String(process.argv[2]) })

const scores = {
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
const labeled = { id: null, text: 'Rest the dough.', labels: { cooking_advice: 0.75, health_advice: null } }

const scoresHeader = await registry.valueHeader('scores', labelScoresSchemaText())
const labeledId = await registry.register(valueSubject('labels'), labeledTextSchemaText())
const rows = [
  { topic: 'scores', value: scores, bytes: labelScoresEncoder(scoresHeader)(scores).toString('hex') },
  {
    topic: 'labels',
    value: labeled,
    bytes: labeledTextEncoder(confluentHeader(labeledId))(labeled).toString('hex'),
  },
]
process.stdout.write(JSON.stringify(rows))
