import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import * as z from 'zod'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { Credentials } from './credentials.ts'

const answerSchema = z.object({ Username: z.string(), Secret: z.string().min(1) })

/** The user name by which a program says that its secret is an identity token. */
const tokenUser = '<token>'
/** What every program says that has none for a server: docker-credential-helpers, `credentials/error.go`. */
const notFound = /credentials not found/i
/** Some ask a keychain or a cloud's service. */
const patienceMs = 30_000

/**
 * Asks `docker-credential-HELPER get`: the server's name on its standard input, JSON with `Username` and `Secret` on its
 * standard output (docker-credential-helpers, "Development").
 *
 * @returns undefined when it has none for the server.
 * @throws DomainError `unavailable` when it cannot be run, or fails, or says something else.
 */
export async function askCredentialHelper(
  helper: string,
  server: string,
  { signal }: Abortable = {},
): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`
  const late = AbortSignal.timeout(patienceMs)
  const both = signal === undefined ? late : AbortSignal.any([late, signal])
  try {
    const { code, output } = await run(program, server, both)
    if (code === 0) return parseAnswer(output)
    if (notFound.test(output)) return undefined
    throw new Error(`it ended with ${code ?? 'a signal'}`)
  } catch (cause) {
    signal?.throwIfAborted()
    // What it says may hold a secret, so only our own words are told.
    const why = late.aborted ? `it did not answer in ${patienceMs} ms` : reasonOf(cause)
    throw new DomainError(
      'unavailable',
      `The program ${program} gives no credentials for ${server}: ${why}.`,
      { resource: 'registry', name: server },
    )
  }
}

async function run(
  program: string,
  input: string,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], signal, killSignal: 'SIGKILL' })
  const ended = Promise.withResolvers<number | null>()
  let failure: Error | undefined
  child.on('error', error => {
    failure = error
  })
  child.on('close', code => (failure === undefined ? ended.resolve(code) : ended.reject(failure)))
  // What it has started itself may hold its output open, when it has ended and when it is ended.
  const giveUp = (): void => {
    failure ??= signal.reason as Error
    child.stdout.destroy()
  }
  if (signal.aborted) giveUp()
  signal.addEventListener('abort', giveUp)
  // One that ends without reading has made up its mind; its exit code tells.
  child.stdin.on('error', () => {})
  child.stdin.end(`${input}\n`)
  try {
    const [output, code] = await Promise.all([text(child.stdout).catch(() => ''), ended.promise])
    return { code, output }
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

function parseAnswer(output: string): Credentials {
  const { Username, Secret } = answerSchema.parse(JSON.parse(output))
  return Username === tokenUser
    ? { kind: 'identity-token', token: Secret }
    : { kind: 'password', username: Username, password: Secret }
}

function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError || error instanceof z.ZodError) return 'its answer makes no sense'
  return error instanceof Error ? error.message : String(error)
}
