import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { exec } from './process.ts'
import { keepForScan } from './test-logs.ts'

/** `varve up` as a process of its own, and the commands that talk to it. */
export interface RunningVarve {
  /** `127.0.0.1:port`. */
  readonly registry: string
  /** The agent's unix socket. */
  readonly socket: string
  /** Runs a command against this agent and answers its standard output. */
  run(command: string, ...args: readonly string[]): Promise<string>
  /** Asks it to stop, as Ctrl-C does. Answers its exit code. */
  stop(): Promise<number | null>
}

/** The program, as README runs it. */
export const varveProgram = join(import.meta.dirname, '../../varve')

/** Starts it on a free port. @throws Error with what it printed when it does not come up. */
export async function startVarve(args: readonly string[]): Promise<RunningVarve> {
  const child = spawn(
    varveProgram,
    ['up', '--address', '127.0.0.1:0', '--metrics-address', '127.0.0.1:0', ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const printed: string[] = []
  const addresses = Promise.withResolvers<{ registry: string; socket: string }>()
  let registry = ''
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', line => {
      printed.push(line)
      keepForScan(line)
      registry ||= /^registry\s+http:\/\/([^/]+)/.exec(line)?.[1] ?? ''
      const socket = /^agent\s+(\S+)/.exec(line)?.[1]
      if (socket !== undefined) addresses.resolve({ registry, socket })
    })
  const ended = once(child, 'exit')
  ended.then(
    () => addresses.reject(new Error(`varve up ended:\n${printed.join('\n')}`)),
    (error: unknown) => addresses.reject(error as Error),
  )
  const { registry: address, socket } = await addresses.promise
  return {
    registry: address,
    socket,
    run: (command, ...rest) => exec(varveProgram, [command, '--socket', socket, ...rest]),
    stop: async () => {
      child.kill('SIGINT')
      const [code] = (await ended) as [number | null]
      return code
    },
  }
}
