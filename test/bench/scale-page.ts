/**
 * Fills the tables of docs/scale.md from what `growth.js --json` printed:
 * `node build/test/bench/scale-page.js growth.json`. Keeps the figures as docs/growth.json beside the page.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/core/paths.ts'
import type { GrowthReport } from './growth-report.ts'
import { fillBlock, grouped } from './page-blocks.ts'
import { growthTable, planText } from './scale-plan.ts'

const [source] = process.argv.slice(2)
if (source === undefined) throw new Error('usage: node build/test/bench/scale-page.js GROWTH.json')
const report = JSON.parse(readFileSync(source, 'utf8')) as GrowthReport
const target = { textsPerSecond: 1_000_000, utilisation: 0.7, replicas: 3, readers: 1 }

const rounds = report.rounds === 1 ? 'one round' : `medians of ${report.rounds} rounds`
const conditions = `${report.precision} on ${report.cores} cores (${report.processor}), Node ${report.node}, broker on the same cores; ${rounds} of about ${report.cellSeconds} s a row, taken in turn in ${grouped(report.minutes)} minutes.`
const file = join(packageRoot, 'docs', 'scale.md')
const measured = fillBlock(readFileSync(file, 'utf8'), 'growth', `${conditions}\n\n${growthTable(report)}`)
writeFileSync(file, fillBlock(measured, 'plan', planText(report, target)))
writeFileSync(join(packageRoot, 'docs', 'growth.json'), `${JSON.stringify(report, undefined, 2)}\n`)
