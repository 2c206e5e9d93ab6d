/** Registers our schemas at the registry named on the command line and prints framed values; for check_confluent.py. */
import { confluentHeader } from '../../src/formats/confluent.ts'
import { labeledTextEncoder, labeledTextSchemaText } from '../../src/formats/labeled-text.ts'
import { SchemaRegistry, valueSubject } from '../../src/formats/registry.ts'
import { labelScoresEncoder, labelScoresSchemaText } from '../../src/formats/scores.ts'
import { scoreEvent } from '../support/score-event.ts'

const registry = new SchemaRegistry({ url: String(process.argv[2]) })

const labeled = { id: null, text: 'Rest the dough.', labels: { cooking_advice: 0.75, health_advice: null } }

const scoresHeader = await registry.valueHeader('scores', labelScoresSchemaText())
const labeledId = await registry.register(valueSubject('labels'), labeledTextSchemaText())
const rows = [
  { topic: 'scores', value: scoreEvent, bytes: labelScoresEncoder(scoresHeader)(scoreEvent).toString('hex') },
  {
    topic: 'labels',
    value: labeled,
    bytes: labeledTextEncoder(confluentHeader(labeledId))(labeled).toString('hex'),
  },
]
process.stdout.write(JSON.stringify(rows))
