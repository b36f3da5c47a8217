import type { Context, Middleware } from 'koa'
import * as z from 'zod'
import { DomainError, isAbort, isDomainError, primaryOf } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { httpStatusOf, toWire, type WireError } from '../wire.ts'
import { requestIdOf } from './request-id.ts'

/** Answers every failure as JSON. What is no DomainError is a bug: told to the log, and to nobody else. */
export function failures(log: Logger): Middleware {
  return async (context, next) => {
    try {
      await next()
    } catch (error) {
      // Nobody is left to answer.
      if (isAbort(primaryOf(error)) && context.res.destroyed) return
      answerFailure(context, error, log)
    }
  }
}

function answerFailure(context: Context, thrown: unknown, log: Logger): void {
  const primary = primaryOf(thrown)
  const error = primary instanceof z.ZodError ? invalidRequest(primary) : primary
  const requestId = requestIdOf(context.state)
  answerJson(
    context,
    isDomainError(error) ? httpStatusOf(error) : 500,
    describeFailure(error, log, requestId),
  )
  if (!isDomainError(error)) return
  const { retryAfterSeconds } = error.details
  if (error.code === 'unavailable') context.set('Retry-After', String(retryAfterSeconds ?? 5))
  // What is left of its body would have to be read before the next request on this connection.
  if (error.code === 'too_large' && !context.req.complete) context.set('Connection', 'close')
}

/** What is said of a failure, in an answer of its own or as the last record of a stream. */
export function describeFailure(error: unknown, log: Logger, requestId: string): WireError {
  if (isDomainError(error)) return toWire(error)
  log.error({ requestId, error }, 'unexpected error')
  return {
    error: {
      code: 'internal',
      message: `The agent failed in a way that it does not know; its log says more (request ${requestId}).`,
    },
  }
}

/** Names the first field that is wrong. */
function invalidRequest({ issues: [issue] }: z.ZodError): DomainError {
  const place = issue?.path.map(String).join('.') ?? ''
  const why =
    issue?.code === 'unrecognized_keys'
      ? `it has the unknown field ${[place, ...issue.keys.slice(0, 1)].filter(Boolean).join('.')}`
      : `${place === '' ? 'it' : place}: ${issue?.message ?? 'it is invalid'}`
  return new DomainError('invalid', `The request is not valid: ${why}.`, {
    resource: 'request',
    ...(place === '' ? {} : { name: place }),
  })
}

export function answerJson(context: Context, status: number, body: unknown): void {
  context.body = `${JSON.stringify(body)}\n`
  context.status = status
  context.set('Content-Type', 'application/json')
}
