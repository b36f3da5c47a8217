import { pipeline, type Readable } from 'node:stream'
import type { Context } from 'koa'
import { type DirectReadable, isDirect } from '../storage/streams/direct.ts'
import type { Content, Reply } from './reply.ts'

/**
 * The only place that sets status, headers, length and body, because each of them has a trap in Koa: an absent
 * body becomes the reason phrase, null becomes 204, strings and types gain a charset, and streams lose their
 * length.
 */
export function respond(ctx: Context, reply: Reply): void {
  ctx.status = reply.status
  for (const [name, value] of Object.entries(reply.headers ?? {})) ctx.set(name, value)
  if (reply.content !== undefined) sendContent(ctx, reply.content)
  // RFC 9110, 8.6: no Content-Length with 204, and with 304 only that of the 200.
  else if (reply.status !== 204 && reply.status !== 304) sendEmpty(ctx)
}

function sendEmpty(ctx: Context): void {
  ctx.body = Buffer.alloc(0)
  ctx.remove('Content-Type')
}

function sendContent(ctx: Context, content: Content): void {
  ctx.set('Content-Type', content.type)
  if ('bytes' in content) {
    // Koa takes a Uint8Array that is no Buffer for an object to print as JSON.
    ctx.body = Buffer.from(content.bytes.buffer, content.bytes.byteOffset, content.bytes.byteLength)
    return
  }
  if ('stream' in content) {
    if (ctx.method === 'HEAD') content.stream.destroy()
    else if (isDirect(content.stream)) sendDirect(ctx, content.stream)
    else sendPiped(ctx, content.stream)
  }
  // A stream that ends early then shows as a short body, never as a complete one.
  if (content.length !== undefined) ctx.set('Content-Length', String(content.length))
}

/** Past Koa, which would answer 500 to a stream that fails before its first byte went out. */
function sendPiped(ctx: Context, stream: Readable): void {
  ctx.respond = false
  const { res } = ctx
  stream.on('error', () => {})
  setImmediate(() => {
    if (res.destroyed) stream.destroy()
    else
      pipeline(stream, res, error => {
        if (error) ctx.app.emit('error', error, ctx)
      })
  })
}

/** Past Koa, which could only pipe it; a failure ends as it does there: the connection is cut and the app told. */
function sendDirect(ctx: Context, stream: DirectReadable): void {
  ctx.respond = false
  const { res } = ctx
  const sink = (chunk: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      res.write(chunk, error => (error ? reject(error) : resolve()))
    })
  // The middleware that this answer still has to pass may add headers.
  setImmediate(() => {
    stream.copyTo(sink).then(
      () => res.end(),
      (error: unknown) => {
        res.destroy()
        ctx.app.emit('error', error, ctx)
      },
    )
  })
}
