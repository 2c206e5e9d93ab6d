/**
 * Writes the pages that are made from the code: settings, metrics, errors. Run `npm run docs`.
 * With --check it writes nothing and fails when a page differs from what the code says.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { errorTable } from '../dist/core/errors.js'
import { settingsPage } from '../dist/settings/reference.js'
import { metricsPage } from '../dist/telemetry/metrics.js'

function errorsPage() {
  const rows = Object.entries(errorTable).map(
    ([code, { disposition, exitCode, summary }]) =>
      `| \`${code}\` | ${disposition} | ${exitCode} | ${summary} |`,
  )
  return [
    '# Errors',
    '',
    'Every error is one row. The disposition says what happens: **dead-letter** the message goes to the dead-letter',
    'topic with its bytes unchanged; **retry** infrastructure, tried again with growing pauses, nothing is lost and',
    'nothing dead-lettered; **restart** the inference process is replaced and its work done again; **refuse** a',
    'setting, model or request is wrong and the message says what would be right; **stop** the program cannot go on;',
    '**gate** a candidate model did not pass. The exit code is what the program ends with when the error reaches the',
    'command line. This page is made by `npm run docs`.',
    '',
    '| code | disposition | exit code | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

const pages = { 'settings.md': settingsPage(), 'metrics.md': metricsPage(), 'errors.md': errorsPage() }
for (const [name, text] of Object.entries(pages)) {
  const file = new URL(name, import.meta.url)
  if (!process.argv.includes('--check')) writeFileSync(file, text)
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`docs/${name} differs from the code: run \`npm run docs\` and commit it`)
    process.exitCode = 1
  }
}
