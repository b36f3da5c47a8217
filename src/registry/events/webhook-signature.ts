import { createHmac } from 'node:crypto'

/** What a receiver needs to know that a message is ours, new, and no repeat of one that it has had. */
export type SignatureHeaders = Readonly<Record<string, string>>

/**
 * Headers of Standard Webhooks, version 1.0.0: the signature is HMAC-SHA256 over `id.timestamp.body`.
 *
 * @param secret `whsec_` and the key in base64; without one the headers have no signature.
 * @param at milliseconds since 1970; the header has seconds.
 */
export function signatureHeaders(
  secret: string | undefined,
  id: string,
  at: number,
  body: string,
): SignatureHeaders {
  const timestamp = String(Math.floor(at / 1000))
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp }
  if (secret === undefined) return headers
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${mac}` }
}
