import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Abortable } from '../../../src/storage/abortable.ts'
import { differenceRules } from './difference-rules.ts'
import type { Family } from './families.ts'
import { partRules } from './part-rules.ts'
import { refusalRules } from './refusal-rules.ts'

/** Archives that one seed generates. A run of so many, or of more, is the same for the same seed. */
export const chunkArchives = 100

export interface RunOptions extends Abortable {
  /** Archives to be compared; there are more of the other families. */
  readonly count: number
  readonly seed: number
  readonly processes: number
  /** Told now and then how it goes. */
  readonly onProgress?: ((report: RunReport) => void) | undefined
}

export interface RunReport {
  readonly counts: Readonly<Partial<Record<Family, number>>>
  /** How often each rule has explained something. */
  readonly explained: ReadonlyMap<string, number>
  /** One text for each archive that has no explanation, that broke something, or that never ended. */
  readonly failures: readonly string[]
}

/** What a worker is told, by its one argument. */
export interface Assignment {
  readonly directory: string
  readonly seed: number
  /** It does the chunks from `first` up to `chunks`, one in so many. */
  readonly first: number
  readonly step: number
  readonly chunks: number
  readonly lanes: number
}

export interface WorkerMessage {
  readonly counts: Readonly<Partial<Record<Family, number>>>
  readonly explained: readonly (readonly [id: string, times: number])[]
  readonly failures: readonly string[]
}

/** A worker that has not finished a chunk, of a second or a few, for so long hangs. */
const patienceMs = 300_000
/** While one archive is extracted by the other programs, the next is applied by us. */
const lanes = 2

/**
 * A worker starts mkfifo thousands of times, and fork(2) takes as long as there is memory to look through:
 * measured with this and with what was compiled before kept, 2.6 ms instead of 4.2.
 */
const semiSpaceMb = 2

/** Compares so many archives in so many processes. */
export async function runArchives({
  count,
  seed,
  processes,
  onProgress,
  signal,
}: RunOptions): Promise<RunReport> {
  const memory = '/dev/shm'
  const directory = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'varve-archives-'))
  const counts: Partial<Record<Family, number>> = {}
  const explained = new Map<string, number>()
  const failures: string[] = []
  const report: RunReport = { counts, explained, failures }
  const take = (message: WorkerMessage): void => {
    for (const [family, more] of Object.entries(message.counts) as [Family, number][])
      counts[family] = (counts[family] ?? 0) + more
    for (const [id, times] of message.explained) explained.set(id, (explained.get(id) ?? 0) + times)
    failures.push(...message.failures)
    onProgress?.(report)
  }
  try {
    await Promise.all(
      Array.from({ length: processes }, async (_, first) => {
        const assignment: Assignment = {
          directory: join(directory, `worker${first}`),
          seed,
          first,
          step: processes,
          chunks: Math.ceil(count / chunkArchives),
          lanes,
        }
        const failure = await runWorker(assignment, take, signal)
        if (failure !== undefined) failures.push(failure)
      }),
    )
    return report
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** @returns what is wrong with the worker itself. */
async function runWorker(
  assignment: Assignment,
  take: (message: WorkerMessage) => void,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  mkdirSync(assignment.directory)
  const worker = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(assignment)], {
    execArgv: [`--max-semi-space-size=${semiSpaceMb}`],
    ...(signal === undefined ? {} : { signal }),
  })
  const exited = once(worker, 'exit') as Promise<[number | null, string | null]>
  let impatience = watch(worker)
  worker.on('message', message => {
    clearTimeout(impatience)
    impatience = watch(worker)
    take(message as WorkerMessage)
  })
  const [status, killedBy] = await exited.finally(() => clearTimeout(impatience))
  if (status === 0) return undefined
  const current = globSync(join(assignment.directory, 'lane*/current')).map(path =>
    readFileSync(path, 'utf8'),
  )
  return `a worker ${killedBy === 'SIGKILL' ? 'hung' : `exited with status ${status}`} at one of:\n${current.join('\n')}`
}

function watch(worker: ChildProcess): NodeJS.Timeout {
  return setTimeout(() => worker.kill('SIGKILL'), patienceMs)
}

/** Rules that have explained nothing, though they should have in ten thousand archives. */
export function idleRules({ explained }: RunReport): string[] {
  return allRules.filter(({ id, rare }) => rare === undefined && !explained.has(id)).map(({ id }) => id)
}

interface ListedRule {
  readonly id: string
  readonly reason: string
  readonly rare?: string
}

const allRules: readonly ListedRule[] = [...refusalRules, ...differenceRules, ...partRules]

/** For people: how many archives there were, and what each rule has explained. */
export function formatRun({ counts, explained, failures }: RunReport): string {
  const rows = allRules.map(
    ({ id, reason }) => `${String(explained.get(id) ?? 0).padStart(9)}  ${id}: ${reason}`,
  )
  const total = Object.entries(counts).map(([family, count]) => `${count} ${family}`)
  return [`archives: ${total.join(', ')}; unexplained: ${failures.length}`, ...rows, ...failures].join('\n')
}
