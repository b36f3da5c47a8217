import { isAbort, isDomainError, primaryOf } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { errorReply, failureOf } from '../errcode.ts'
import { respond } from '../respond.ts'
import type { RegistryMiddleware } from '../state.ts'

/**
 * Answers every failure and lets none out, because Koa's own handler drops all headers and answers in plain
 * text. Failures of ours (status 5xx) are logged here in full; those of the client are in the access log.
 */
export function errors(log: Logger): RegistryMiddleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      // Nobody is left to answer, and an abort is no failure.
      if (isAbort(primaryOf(error)) && ctx.state.signal.aborted) return
      const { status, code } = failureOf(error)
      ctx.state.errorCode = code
      if (isDomainError(error)) ctx.state.refused = error.details.account
      if (status >= 500)
        log.error(
          { requestId: ctx.state.requestId, operation: ctx.state.operation, error: primaryOf(error) },
          'request failed',
        )
      respond(ctx, errorReply(error))
    }
  }
}
