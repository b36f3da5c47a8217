import { drainLeftover, type LeftoverLimits } from '../leftover.ts'
import { announcedLength } from '../request.ts'
import { RequestBody } from '../request-body.ts'
import type { RegistryMiddleware } from '../state.ts'

/** Opens the request's body and its signal, and sees to it that neither outlives the answer. */
export function exchange(limits: LeftoverLimits): RegistryMiddleware {
  return async (ctx, next) => {
    const { req, res, state } = ctx
    const gone = new AbortController()
    state.signal = gone.signal
    res.once('close', () => {
      if (!res.writableFinished) gone.abort()
    })
    const awaitsContinue = /^100-continue$/i.test(ctx.get('Expect'))
    const body = new RequestBody(req, { onFirstRead: () => awaitsContinue && res.writeContinue() })
    // Whoever reads the body hears of its errors; when nobody does, they are of no interest.
    body.on('error', () => {})
    state.body = body
    try {
      await next()
    } finally {
      body.destroy()
      if (announcedLength(req.headers) !== 0) {
        // RFC 9110, 10.1.1: the client may now send the body or not, so what comes next could not be told apart.
        if (awaitsContinue && !body.started) ctx.set('Connection', 'close')
        else drainLeftover(req, res, limits)
      }
    }
  }
}
