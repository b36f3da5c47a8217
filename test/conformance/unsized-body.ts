import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface UnsizedAnswer {
  readonly status: number
  readonly headers: Record<string, string | undefined>
  readonly bytes: Buffer
}

/**
 * Sends a body in chunked encoding, without its length, even when it is empty: as Go's client does with a body
 * whose length it was not told. Other clients announce a length of 0 then, so a server seldom meets this.
 */
export async function sendUnsized(
  url: string,
  method: string,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<UnsizedAnswer> {
  const sent = request(url, { method, headers: { ...headers, 'transfer-encoding': 'chunked' } })
  if (body.length > 0) sent.write(body)
  sent.end()
  const [response]: IncomingMessage[] = await once(sent, 'response')
  if (response === undefined) throw new Error(`${method} ${url} had no answer`)
  const plain = Object.entries(response.headersDistinct).map(([name, values]) => [name, values?.join(', ')])
  const bytes = await buffer(response)
  return { status: response.statusCode ?? 0, headers: Object.fromEntries(plain), bytes }
}
