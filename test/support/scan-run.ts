import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SecretScan } from './secret-scan.ts'
import { testLogsVariable } from './test-logs.ts'

/** Looks for secrets in a run of tests. */
export interface RunScan {
  /** What a file of tests has printed. */
  addReport(file: string, report: string): void
  /** Looks through what was kept, and removes it. Lines for people: one for each leak, and what it was all about. */
  finish(): Promise<{ readonly lines: readonly string[]; readonly leaks: number }>
}

/** Call before any test: those that run from now on keep what their servers say (test-logs.ts). */
export async function watchForSecrets(): Promise<RunScan> {
  const directory = await mkdtemp(join(tmpdir(), 'varve-test-logs-'))
  process.env[testLogsVariable] = directory
  const scan = new SecretScan()
  return {
    addReport: (file, report) => scan.addText(file, report),
    finish: async () => {
      try {
        await scan.addDirectory(directory)
      } finally {
        if (process.env[testLogsVariable] === directory) delete process.env[testLogsVariable]
        await rm(directory, { recursive: true, force: true })
      }
      const told = scan.leaks.map(({ kind, where, context }) => `secret: ${kind} in ${where}: ${context}`)
      return { lines: [...told.slice(0, maxTold), scan.summary()], leaks: scan.leaks.length }
    },
  }
}

/** A secret that is in a log is often on each of its lines. */
const maxTold = 50
