import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'

/** Where a host has what Node has no calls for. Never searched by PATH: it runs as root. */
const directories = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'] as const

/** More than what a batch of complaints or of names comes to. */
const maxOutputBytes = 64 * 1024 * 1024

export type HelperProgram = 'mkfifo' | 'setfattr' | 'getfattr'

export interface HelperRun {
  readonly arguments: readonly string[]
  /** Descriptors that the program gets, as its own from {@link firstDescriptor} on. */
  readonly descriptors?: readonly number[] | undefined
  readonly input?: Uint8Array | undefined
}

export interface HelperOutcome {
  /** Null when it was killed. */
  readonly status: number | null
  readonly output: Buffer
  /** One character for each byte. */
  readonly complaints: string
}

/** What a child calls the first descriptor that it is given. */
export const firstDescriptor = 3

const found = new Map<HelperProgram, string | undefined>()

/**
 * Runs a program to its end: without a shell, without any of our environment (so that it complains in English), and
 * with nothing open but what it is given. Blocks.
 * @returns undefined when this host does not have the program.
 * @throws what spawn(2) fails with.
 */
export function runHelper(program: HelperProgram, run: HelperRun): HelperOutcome | undefined {
  if (!found.has(program)) found.set(program, find(program))
  const path = found.get(program)
  if (path === undefined) return undefined
  const { error, status, stdout, stderr } = spawnSync(path, run.arguments, {
    cwd: '/',
    env: {},
    input: run.input ?? new Uint8Array(),
    maxBuffer: maxOutputBytes,
    stdio: ['pipe', 'pipe', 'pipe', ...(run.descriptors ?? [])],
  })
  if (error !== undefined) throw error
  return { status, output: stdout, complaints: stderr.toString('latin1') }
}

function find(program: HelperProgram): string | undefined {
  return directories.map(directory => `${directory}/${program}`).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
