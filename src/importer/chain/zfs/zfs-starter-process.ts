/** The process of a `ZfsStarter`. It ends when its parent has, or wants no more of it, and the commands have ended. */
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { StartAnswer, StartRequest } from './zfs-starter.ts'

/** Of a command that changes something, and has little to say. What is beyond it is not kept. */
const maxOutputBytes = 16 * 1024 * 1024

/** By it the parent knows whether a command is still at work when this process is not there any more to say so. */
const commandsLeftFd = 4

// Whoever ends the parent often ends all of its group; then the parent decides what is still to be done.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {})

process.on('message', message => {
  const request = message as StartRequest
  const answer = (told: Omit<StartAnswer, 'id'>): void => {
    // A parent that is gone does not want to know.
    if (process.connected) process.send?.({ id: request.id, ...told }, undefined, undefined, () => {})
  }
  try {
    start(request, answer)
  } catch (error) {
    // Of arguments that no program can have. The commands of others go on.
    answer(notStarted(error))
  }
})

function start({ program, args }: StartRequest, answer: (told: Omit<StartAnswer, 'id'>) => void): void {
  // Not execFile, which hands nothing on but the three.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe', commandsLeftFd] })
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)]
  // Without a descriptor left for it, no other event follows.
  child.on('error', error => answer(notStarted(error)))
  child.on('close', code => {
    const failure = { message: `Command failed: ${[program, ...args].join(' ')}`, code: code ?? undefined }
    answer({ stdout: stdout(), stderr: stderr(), failure: code === 0 ? undefined : failure })
  })
}

function notStarted(error: unknown): Omit<StartAnswer, 'id'> {
  const { message, code } = error as NodeJS.ErrnoException
  return { stdout: '', stderr: '', failure: { message, code } }
}

function textOf(stream: Readable | null): () => string {
  const chunks: Buffer[] = []
  let room = maxOutputBytes
  stream?.on('data', (chunk: Buffer) => {
    const kept = chunk.subarray(0, room)
    room -= kept.length
    chunks.push(kept)
  })
  return () => Buffer.concat(chunks).toString()
}
