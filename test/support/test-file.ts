import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec, type TestEvent } from 'node:test/reporters'
import { type Failure, reasonOf } from './failures.ts'

/** What came of the tests of one file. */
export interface FileOutcome {
  readonly passed: number
  readonly failed: readonly Failure[]
  /** Each with its reason. */
  readonly skipped: readonly string[]
  /** As it is told to people. */
  readonly report: string
}

/** Runs one test file in a process of its own. */
export async function runTestFile(file: string): Promise<FileOutcome> {
  let passed = 0
  const failed: Failure[] = []
  const skipped: string[] = []
  const results = run({ files: [file] })
  results.on('test:pass', ({ name, skip, details }) => {
    if (skip !== undefined && skip !== false) skipped.push(`${name} (${file}): ${String(skip)}`)
    else if (details.type !== 'suite') passed += 1
  })
  results.on('test:fail', ({ name, details }) => {
    if (details.type === 'suite' && isFailureOfChildren(details.error)) return
    failed.push({ title: `${name} (${file})`, reason: reasonOf(details.error) })
  })
  const report = await Array.fromAsync<string | Uint8Array>(
    Readable.from(withoutCounts(results)).compose(new spec()),
  )
  return { passed, failed, skipped, report: report.map(String).join('') }
}

/** The counts of one file are of no interest; those of all files are told at the end. */
async function* withoutCounts(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  for await (const event of events)
    if (event.type !== 'test:summary' && !(event.type === 'test:diagnostic' && isCount(event.data.message)))
      yield event
}

function isCount(message: string): boolean {
  return /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(message)
}

/** A suite fails when a test in it does; that test has been counted already. */
function isFailureOfChildren(error: unknown): boolean {
  return error instanceof Error && 'failureType' in error && error.failureType === 'subtestsFailed'
}
