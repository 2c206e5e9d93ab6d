import { boundOf } from './checker.ts'
import type { ScenarioReport } from './scenario.ts'

/** A scenario's faults and every check, one a line. */
export function printReport(
  { scenario, faults, jobs, seconds }: ScenarioReport,
  say: (text: string) => void,
): void {
  const struck = Object.entries(faults).map(([name, times]) => `${name} ${times}`)
  say(`\n${scenario}: ${seconds.toFixed(0)} s; ${struck.join(', ')}`)
  for (const { job, inputs: read, scores, deadLetters, repeated, checks } of jobs) {
    say(`  ${job}: ${read} inputs, ${scores} scores, ${deadLetters} dead letters, ${repeated} repeated`)
    for (const check of checks) {
      say(`    ${check.broken === 0 ? 'ok    ' : 'BROKEN'} ${check.name}: ${boundOf(check)}`)
      for (const example of check.examples) say(`           ${example}`)
    }
  }
}
