/**
 * Runs the compiled tests below the folders named on the command line (default: test), quietly:
 * failures in full, then the counts. `--verbose` names every test, `--match TEXT` picks files by path, and
 * `--minutes N` is how long one file may take (5).
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import { quiet } from './support/quiet-reporter.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { verbose: { type: 'boolean' }, match: { type: 'string' }, minutes: { type: 'string' } },
})
// tests load ONNX Runtime themselves; src/runtime/child-environment.ts says why
process.env.ORT_DISABLE_TELEMETRY = '1'
const longSuites = ['build/test/fault', 'build/test/soak']
const folders = (positionals.length > 0 ? positionals : ['test']).map((folder) => join('build', folder))
const files = folders
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.test.js'))
  .filter(
    (file) =>
      !longSuites.some((suite) => file.startsWith(suite) && !folders.some((f) => f.startsWith(suite))),
  )
  .filter((file) => values.match === undefined || file.includes(values.match))
  .sort()

if (files.length === 0) {
  console.error('no test files found: run `npm run build:test` first')
  process.exit(1)
}

run({ files, concurrency: 2, timeout: 60_000 * Number(values.minutes ?? 5) })
  .on('test:fail', () => {
    process.exitCode = 1
  })
  .compose(values.verbose ? new spec() : quiet)
  .pipe(process.stdout)
