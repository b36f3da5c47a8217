import type { Context, Middleware } from 'koa'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'

/** Who knows which tokens are good: a file (`TokenFile`). */
export interface Tokens {
  /** @throws DomainError while it cannot be known. */
  accepts(token: string): Promise<boolean>
}

/** What may be asked without a token: whether the process lives, and nothing more. */
const openPaths: ReadonlySet<string> = new Set(['/livez'])

/** RFC 6750, 2.1 and 3. */
export function authorize(tokens: Tokens, log: Logger): Middleware {
  return async (context, next) => {
    if (!openPaths.has(context.path)) await requireToken(context, tokens, log)
    await next()
  }
}

async function requireToken(context: Context, tokens: Tokens, log: Logger): Promise<void> {
  const given = context.get('Authorization')
  const [, token] = /^Bearer +([^\s]{1,4096})$/i.exec(given) ?? []
  if (token !== undefined && (await accepts(tokens, token, log))) return
  const challenge = token === undefined ? 'Bearer realm="varve-agent"' : badTokenChallenge
  context.set('WWW-Authenticate', challenge)
  throw new DomainError(
    'unauthorized',
    token === undefined
      ? 'The agent wants a token here: send Authorization: Bearer TOKEN.'
      : 'The agent does not know this token; it takes those of its tokenFile.',
    { resource: 'request' },
  )
}

/** Why no token can be known now is for the log: nobody has shown yet who asks. */
async function accepts(tokens: Tokens, token: string, log: Logger): Promise<boolean> {
  try {
    return await tokens.accepts(token)
  } catch (error) {
    if (!isDomainError(error)) throw error
    log.error({ error }, 'no token is taken')
    throw new DomainError(
      'unavailable',
      'The agent cannot read its tokens, so that it takes none; its log says why.',
      { resource: 'request' },
      { cause: error },
    )
  }
}

const badTokenChallenge = 'Bearer realm="varve-agent", error="invalid_token"'
