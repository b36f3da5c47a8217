import { actingCharacters, escapedCharacter } from '../../acting-characters.ts'
import type { Metrics } from '../../metrics/metrics.ts'
import { handlerOf } from '../operation-handler.ts'
import type { RegistryContext, RegistryMiddleware } from '../state.ts'

/** What can be told of a request when both its handler and its connection are done with it. */
export interface RequestSummary {
  readonly requestId: string
  readonly method: string
  /** Without the query; undefined for a target that is no path. */
  readonly path: string | undefined
  readonly operation: string | undefined
  /** The template that matched. */
  readonly route: string | undefined
  /** As captured from the path, not validated. */
  readonly repository: string | undefined
  /** The tag or digest in the path, not validated. */
  readonly reference: string | undefined
  readonly status: number
  readonly errorCode: string | undefined
  /** Bytes of the body, as far as it was read. */
  readonly bytesIn: number
  /** Bytes of the body that was sent; of an answer that broke off those that were given to the connection. */
  readonly bytesOut: number
  readonly durationMs: number
  /** Address of the client, behind trusted proxies. */
  readonly client: string
  readonly userAgent: string | undefined
  /** Who sent it, once that was known, and what proved it: `token:ID`, never the token. */
  readonly account: string | undefined
  readonly credential: string | undefined
}

/** Characters: longer paths name nothing that exists. */
const maxPath = 1024
/** Characters of a header that anybody may fill with anything. */
const maxUserAgent = 256

/** In place of the status when the client left before its answer was complete: nginx's word, which log tools know. */
const clientClosedRequest = 499

/**
 * Tells each request once, after its end. Never its query and never a header but the user agent: the others can hold
 * credentials.
 */
export function observe(
  onDone: (summary: RequestSummary) => void,
  metrics: Metrics | undefined,
  now: () => number = performance.now.bind(performance),
): RegistryMiddleware {
  return async (ctx, next) => {
    const { req, res, state } = ctx
    const startedAt = now()
    const writtenBefore = req.socket.bytesWritten
    let leave: (() => void) | undefined
    if (metrics !== undefined)
      state.routed = operation => {
        leave = metrics.requestStarted(handlerOf(operation))
      }
    const done = () => {
      leave?.()
      const summary: RequestSummary = {
        requestId: state.requestId,
        method: ctx.method,
        path: pathOf(ctx.url),
        operation: state.operation,
        route: state.route,
        repository: harmless(state.repository, maxPath),
        reference: harmless(state.reference, maxPath),
        status: res.writableFinished ? res.statusCode : clientClosedRequest,
        errorCode: state.errorCode,
        bytesIn: state.body.received,
        bytesOut: bodyBytes(ctx, req.socket.bytesWritten - writtenBefore),
        durationMs: Math.round((now() - startedAt) * 1000) / 1000,
        client: state.client.address,
        userAgent: harmless(req.headers['user-agent'], maxUserAgent),
        account: state.facts.caller?.account ?? state.refused,
        credential: state.facts.caller?.credential,
      }
      metrics?.requestDone({ ...summary, handler: handlerOf(state.operation) })
      onDone(summary)
    }
    try {
      await next()
    } finally {
      if (res.closed) done()
      else res.once('close', done)
    }
  }
}

/** @param written bytes that went to the connection, headers included. */
function bodyBytes({ method, res }: RegistryContext, written: number): number {
  const { statusCode } = res
  if (method === 'HEAD' || statusCode === 204 || statusCode === 304) return 0
  const announced = res.getHeader('Content-Length')
  if (announced === undefined) return written
  return res.writableFinished ? Number(announced) : Math.min(Number(announced), written)
}

/** Undefined for a target that is no path: what it is then, credentials perhaps, nobody knows. */
function pathOf(url: string): string | undefined {
  return url.startsWith('/') ? harmless(url.split('?', 1)[0], maxPath) : undefined
}

/** JSON keeps a line one line, but leaves what terminals act upon beyond ASCII as it is. */
function harmless(text: string | undefined, limit: number): string | undefined {
  return text?.slice(0, limit).replace(actingCharacters, escapedCharacter)
}
