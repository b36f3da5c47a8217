/**
 * Runs all test files, or those whose path contains one of the arguments, and closes with one line:
 * `N passed, N failed, N skipped`. What they print, and what their servers log, is searched for secrets: one is a failure.
 * Each skip is printed with its reason; with CI=true a skip is a failure, because there every outside program can be had.
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import pLimit from 'p-limit'
import { openZfsSuites } from './openzfs/suites.ts'
import { useCompileCache } from './support/compile-cache.ts'
import { watchDaemons } from './support/daemons.ts'
import { tellFailures } from './support/failures.ts'
import { watchForSecrets } from './support/scan-run.ts'
import { spread } from './support/spread.ts'
import { mayBeStuckFuse } from './support/stuck-fuse.ts'
import { type FileOutcome, runTestFile } from './support/test-file.ts'

const filters = process.argv.slice(2)
const wanted = globSync('test/**/*.test.ts')
  .filter(file => filters.length === 0 || filters.some(filter => file.includes(filter)))
  .sort()
const needPool = new Set(openZfsSuites([]))
// One pool is in use at a time, so those that wait for it must not be all that runs.
const files = spread(wanted, needPool)
// Several registries run at once, and each would want the same port for its metrics.
process.env['VARVE_REGISTRY_METRICS_ADDRESS'] ??= '127.0.0.1:0'
useCompileCache()
const skipsFail = process.env['CI'] === 'true'

if (files.length === 0) {
  console.error(`No test file's path contains ${filters.join(' or ')}.`)
  process.exit(1)
}

const stopStartedDaemons = await watchDaemons()
const secrets = await watchForSecrets()
// One more than can run, for the one that waits for the pool.
const limit = pLimit(Math.max(2, availableParallelism()) + 1)
const outcomes = await limit.map(files, runAndTell)
await stopStartedDaemons()
const scanned = await secrets.finish()

const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)
const skipped = outcomes.flatMap(outcome => outcome.skipped)
const failures = outcomes.flatMap(outcome => outcome.failed)
for (const line of skipped) console.log(`skipped: ${line}`)
for (const line of tellFailures(failures)) console.log(line)
for (const line of scanned.lines) console.log(line)
const failed = failures.length + scanned.leaks + (skipsFail ? skipped.length : 0)
if (skipsFail && skipped.length > 0) console.log('CI=true: each skip counts as a failure.')
console.log(`${passed} passed, ${failed} failed, ${skipsFail ? 0 : skipped.length} skipped`)
process.exitCode = failed > 0 ? 1 : 0

/** Once more where zfs-fuse is in the way: that it gets stuck for good says nothing about what is tested on it. */
async function runAndTell(file: string): Promise<FileOutcome> {
  const outcome = await runAndScan(file)
  const reasons = outcome.failed.map(({ reason }) => reason).join('\n')
  if (outcome.failed.length === 0 || !needPool.has(file) || !mayBeStuckFuse(reasons)) return outcome
  console.log(`repeated: ${file}, because zfs-fuse was stuck or died`)
  return await runAndScan(file)
}

async function runAndScan(file: string): Promise<FileOutcome> {
  const outcome = await runTestFile(file)
  secrets.addReport(file, outcome.report)
  process.stdout.write(outcome.report)
  return outcome
}
