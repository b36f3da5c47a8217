import type { Logger } from '../../log.ts'
import type { BufferBudget, Loan } from '../../storage/blobs/buffer-budget.ts'
import { type BodyPace, watchPace } from '../body-pace.ts'
import { drainLeftover, type LeftoverLimits } from '../leftover.ts'
import { announcedLength } from '../request.ts'
import { RequestBody } from '../request-body.ts'
import type { RegistryMiddleware } from '../state.ts'

export interface ExchangeOptions {
  readonly leftoverLimits: LeftoverLimits
  readonly bodyPace: BodyPace
  readonly buffers: BufferBudget
  readonly log: Logger
}

/** Opens the request's body, its signal and its memory, and sees to it that none of them outlives the answer. */
export function exchange({ leftoverLimits, bodyPace, buffers, log }: ExchangeOptions): RegistryMiddleware {
  return async (ctx, next) => {
    const { req, res, state } = ctx
    const gone = new AbortController()
    state.signal = gone.signal
    res.once('close', () => {
      if (!res.writableFinished) gone.abort()
    })
    const awaitsContinue = /^100-continue$/i.test(ctx.get('Expect'))
    let endWatch = () => {}
    const body: RequestBody = new RequestBody(req, {
      onFirstRead: () => {
        if (awaitsContinue) res.writeContinue()
        if (announcedLength(req.headers) === 0) return
        endWatch = watchPace(body, bodyPace, () => {
          log.info(
            { requestId: state.requestId, bytesIn: body.received },
            'connection cut: its body is too slow',
          )
          req.socket.destroy()
        })
      },
    })
    // Whoever reads the body hears of its errors; when nobody does, they are of no interest.
    body.on('error', () => {})
    state.body = body
    let loan: Loan | undefined
    state.reserve = async bytes => {
      // A second loan would be waited for while the first one is held.
      if (loan !== undefined) throw new Error('the request has reserved its memory already')
      loan = await buffers.take(bytes, { urgent: true, signal: gone.signal })
    }
    try {
      await next()
    } finally {
      endWatch()
      loan?.[Symbol.dispose]()
      body.destroy()
      if (announcedLength(req.headers) !== 0) {
        // RFC 9110, 10.1.1: the client may now send the body or not, so what comes next could not be told apart.
        if (awaitsContinue && !body.started) ctx.set('Connection', 'close')
        else drainLeftover(req, res, leftoverLimits)
      }
    }
  }
}
