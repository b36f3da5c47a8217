import { timingSafeEqual } from 'node:crypto'
import { DomainError, isDomainError } from '../../errors.ts'
import { digestOf } from '../../storage/digest.ts'
import { SecretFile } from '../../storage/remote/credentials/secret-file.ts'
import { parseAuthorization } from '../auth/authorization-header.ts'
import { mirrorHookEndpoint } from '../endpoints.ts'
import { json } from '../reply.ts'
import type { Route } from '../routes.ts'
import type { MirrorJobs } from './mirror-jobs.ts'
import type { WishMirrorRun } from './wishes.ts'

export interface MirrorHookOptions {
  readonly jobs: Pick<MirrorJobs, 'get'>
  readonly wish: WishMirrorRun
  /** Bearer tokens, one a line; read again when it has changed. */
  readonly tokenFile: string
}

/** RFC 6750, 2.1 (b64token). */
const tokenPattern = /^[A-Za-z0-9._~+/-]+=*$/
/** Characters: nobody guesses 16. */
const minToken = 16

/**
 * What wakes a job from outside: whoever has a token may wish that it runs soon, and nothing else. What is sent with it
 * (a notification of a registry, in whatever form) is not read, for a run compares all by itself. Any number of calls before
 * the run begins are one.
 * @throws DomainError `invalid` for a file without tokens, or one that others may read.
 */
export async function openMirrorHook({ jobs, wish, tokenFile }: MirrorHookOptions): Promise<Route> {
  const file = new SecretFile(tokenFile, tokensIn)
  await requireTokens(file)
  return {
    ...mirrorHookEndpoint,
    handler: async ({ headers, params, query, signal, facts }) => {
      facts.target = `job:${(params['job'] ?? '').slice(0, 64)}`
      // It would stand in the logs of every proxy on the way.
      if (query.has('token')) throw refused('A token in the URL is not taken; send Authorization: Bearer.')
      const authorization = parseAuthorization(headers.authorization)
      if (authorization.kind !== 'bearer')
        throw refused('Waking a mirror job takes a token: send Authorization: Bearer.')
      if (!isAmong(authorization.token, await contentOf(file)))
        throw refused('This token wakes no mirror job.')
      const { job } = await jobs.get(params['job'] ?? '', { signal })
      if (!job.enabled)
        throw new DomainError('conflict', `The mirror job ${job.name} is disabled, so nothing wakes it.`, {
          resource: 'mirror',
          name: job.name,
        })
      await wish(job.name, { trigger: 'webhook', by: null }, { signal })
      return json(202, { job: job.name }, { 'Cache-Control': 'no-store' })
    },
  }
}

/** Digests of them: all of one length, which is what comparing in constant time takes. */
function tokensIn(text: string): readonly Buffer[] {
  const lines = text.split('\n').map(line => line.trim())
  const tokens = lines.filter(line => line !== '' && !line.startsWith('#'))
  if (tokens.length === 0 || tokens.some(token => token.length < minToken || !tokenPattern.test(token)))
    throw new Error('no tokens of at least 16 characters')
  return tokens.map(digestIn)
}

function isAmong(token: string, known: readonly Buffer[]): boolean {
  const given = digestIn(token)
  let found = false
  // All of them, whether one has fitted or not.
  for (const one of known) found = timingSafeEqual(one, given) || found
  return found
}

function digestIn(token: string): Buffer {
  return Buffer.from(digestOf(Buffer.from(token)))
}

/** What is wrong with the setting is said at the start, and not to the first who calls. */
async function requireTokens(file: SecretFile<readonly Buffer[]>): Promise<void> {
  try {
    await file.content()
  } catch (error) {
    if (!isDomainError(error)) throw error
    throw new DomainError(
      'invalid',
      `The setting mirror.hookTokenFile is not valid: ${error.message} It has tokens of at least ${minToken} characters, one a line, such as openssl rand -hex 24 makes.`,
      { resource: 'config', name: 'mirror.hookTokenFile' },
      { cause: error },
    )
  }
}

async function contentOf(file: SecretFile<readonly Buffer[]>): Promise<readonly Buffer[]> {
  try {
    return await file.content()
  } catch (error) {
    if (!isDomainError(error)) throw error
    // While it is of no use nobody gets in, and those who have a token may come again.
    throw new DomainError('unavailable', error.message, { resource: 'mirror' }, { cause: error })
  }
}

function refused(message: string): DomainError {
  return new DomainError('unauthorized', message, {
    resource: 'mirror',
    challenge: 'Bearer realm="varve-mirror-hooks"',
    rule: 'no token of mirror.hookTokenFile was shown',
  })
}
