/**
 * Runs all test files, or those whose path contains one of the arguments, and closes with one line:
 * `N passed, N failed, N skipped`. Each skip is printed with its reason; with CI=true a skip is a failure,
 * because there every outside program can be had.
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { openZfsSuites } from './openzfs/suites.ts'
import { watchDaemons } from './support/daemons.ts'
import { spread } from './support/spread.ts'

interface Tally {
  passed: number
  readonly failed: string[]
  readonly skipped: string[]
}

const filters = process.argv.slice(2)
const wanted = globSync('test/**/*.test.ts')
  .filter(file => filters.length === 0 || filters.some(filter => file.includes(filter)))
  .sort()
// One pool is in use at a time, so those that wait for it must not be all that runs.
const files = spread(wanted, new Set(openZfsSuites([])))
// Several registries run at once, and each would want the same port for its metrics.
process.env['VARVE_REGISTRY_METRICS_ADDRESS'] ??= '127.0.0.1:0'
const skipsFail = process.env['CI'] === 'true'

if (files.length === 0) {
  console.error(`No test file's path contains ${filters.join(' or ')}.`)
  process.exit(1)
}

const stopStartedDaemons = await watchDaemons()
const tally: Tally = { passed: 0, failed: [], skipped: [] }
// One more than can run, for the one that waits for the pool.
const results = run({ files, concurrency: Math.max(2, availableParallelism()) + 1 })
results.on('test:pass', ({ name, skip, details, file }) => {
  if (skip !== undefined && skip !== false) tally.skipped.push(`${name} (${file ?? ''}): ${String(skip)}`)
  else if (details.type !== 'suite') tally.passed += 1
})
results.on('test:fail', ({ name, details, file }) => {
  if (details.type !== 'suite' || !isFailureOfChildren(details.error))
    tally.failed.push(`${name} (${file ?? ''})`)
})

const report = results.compose(new spec())
report.on('data', (chunk: string | Uint8Array) => process.stdout.write(chunk))
await new Promise<void>((resolve, reject) => report.on('end', resolve).on('error', reject))
await stopStartedDaemons()

for (const line of tally.skipped) console.log(`skipped: ${line}`)
for (const line of tally.failed) console.log(`failed: ${line}`)
const failed = tally.failed.length + (skipsFail ? tally.skipped.length : 0)
if (skipsFail && tally.skipped.length > 0) console.log('CI=true: each skip counts as a failure.')
console.log(`${tally.passed} passed, ${failed} failed, ${skipsFail ? 0 : tally.skipped.length} skipped`)
process.exitCode = failed > 0 ? 1 : 0

/** A suite fails when a test in it does; that test has been counted already. */
function isFailureOfChildren(error: unknown): boolean {
  return error instanceof Error && 'failureType' in error && error.failureType === 'subtestsFailed'
}
