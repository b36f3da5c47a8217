/** The process of a `ZfsStarter`. It ends when its parent has, or wants no more of it, and the commands have ended. */
import { execFile } from 'node:child_process'
import type { StartAnswer, StartRequest } from './zfs-starter.ts'

/** Of a command that changes something, and has little to say. */
const maxOutputBytes = 16 * 1024 * 1024

// Whoever ends the parent often ends all of its group; then the parent decides what is still to be done.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {})

process.on('message', message => {
  const { id, program, args } = message as StartRequest
  execFile(program, args, { maxBuffer: maxOutputBytes }, (error, stdout, stderr) => {
    const failure = error === null ? undefined : { message: error.message, code: error.code ?? undefined }
    const answer: StartAnswer = { id, stdout, stderr, failure }
    // A parent that is gone does not want to know.
    if (process.connected) process.send?.(answer, undefined, undefined, () => {})
  })
})
