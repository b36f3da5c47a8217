import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { exec } from '../../test/support/process.ts'
import { searchPath } from '../../test/support/programs.ts'
import { cpuTimeOf, memoryOf } from './process-tree.ts'

/** What one import cost. */
export interface Usage {
  /** Until the program said that it is done. */
  readonly seconds: number
  /** Until the disk had it all, too. */
  readonly onDiskSeconds: number
  readonly userSeconds: number
  readonly systemSeconds: number
  /** Bytes that all its processes together had resident at most, looked at every {@link sampleMs}. */
  readonly peakMemory: number
}

export interface Work {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Where it writes. */
  readonly directory: string
  /** A daemon that does the work for the program: what it takes counts too. */
  readonly daemon?: number | undefined
}

const sampleMs = 50

/** bash tells what its children took, those that they waited for included, to the millisecond. */
const timed = '"$@" 3>&-; status=$?; times >&3; exit $status'

/** Runs a program to its end. @throws Error with what it printed when that is no good end. */
export async function measure({ program, args, env, directory, daemon }: Work): Promise<Usage> {
  const before = daemon === undefined ? undefined : cpuTimeOf(daemon)
  const started = performance.now()
  const child = spawn('bash', ['-c', timed, 'bash', program, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: searchPath, LC_ALL: 'C.UTF-8', ...env },
  })
  const [, , errorPipe, timesPipe] = child.stdio
  if (!(errorPipe instanceof Readable) || !(timesPipe instanceof Readable))
    throw new Error('a process that was spawned has the pipes that it was given')
  let peakMemory = 0
  const watched = [child.pid, daemon].filter(pid => pid !== undefined)
  const sampler = setInterval(() => {
    const { resident, highest } = memoryOf(watched)
    peakMemory = Math.max(peakMemory, resident, highest)
  }, sampleMs)
  const [told, errors, [code]] = await Promise.all([
    text(timesPipe),
    text(errorPipe),
    once(child, 'close') as Promise<[number | null]>,
  ]).finally(() => clearInterval(sampler))
  const seconds = (performance.now() - started) / 1000
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${errors.slice(-2000)}`)
  await exec('sync', ['--file-system', directory])
  const onDiskSeconds = (performance.now() - started) / 1000

  const [user = 0, system = 0] = (told.split('\n')[1] ?? '').split(' ').map(secondsOf)
  const after = daemon === undefined ? undefined : cpuTimeOf(daemon)
  return {
    seconds,
    onDiskSeconds,
    userSeconds: user + (after?.userSeconds ?? 0) - (before?.userSeconds ?? 0),
    systemSeconds: system + (after?.systemSeconds ?? 0) - (before?.systemSeconds ?? 0),
    peakMemory,
  }
}

/** As bash writes it: `1m2.345s`. */
function secondsOf(time: string): number {
  const [, minutes = 'NaN', seconds = 'NaN'] = /^(\d+)m([\d.]+)s$/.exec(time) ?? []
  return Number(minutes) * 60 + Number(seconds)
}
