import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { keepForScan } from './test-logs.ts'
import { varveProgram } from './varve.ts'

/** How a command ended. */
export interface Ran {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command of the program as a person does, and waits for its end, however it ends. */
export async function runVarve(
  args: readonly string[],
  onStart?: (child: ChildProcess) => void,
): Promise<Ran> {
  const child = spawn(varveProgram, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close') as Promise<[number | null]>
  onStart?.(child)
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  // What it prints on its other output may be a token that it has made.
  keepForScan(stderr)
  return { code, stdout, stderr }
}
