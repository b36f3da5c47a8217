import type { Context } from 'koa'
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
    else ctx.body = content.stream
  }
  // A stream that ends early then shows as a short body, never as a complete one.
  ctx.set('Content-Length', String(content.length))
}
