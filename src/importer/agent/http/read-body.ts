import type { IncomingMessage } from 'node:http'
import { DomainError, errnoOf, isDomainError } from '../../../errors.ts'

/** Whatever its Content-Type: `curl -d` calls everything a form. @throws DomainError `too_large`, `invalid`; AbortError when the client has left. */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const bytes = await readBytes(request, maxBytes)
  if (bytes.length === 0) return {}
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalid('The body of the request is not UTF-8.', cause)
  }
  try {
    return JSON.parse(text, refusePrototype) as unknown
  } catch (cause) {
    throw isDomainError(cause) ? cause : invalid('The body of the request is not JSON.', cause)
  }
}

/** A member of this name would vanish wherever an object is copied, instead of being refused as one that is unknown. */
function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw invalid('The request is not valid: it has the unknown field __proto__.')
  return value
}

async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? 0)
  const chunks: Buffer[] = []
  let size = announced > maxBytes ? announced : 0
  if (size === 0)
    for await (const chunk of untilItLeaves(request)) {
      size += chunk.length
      if (size > maxBytes) break
      chunks.push(chunk)
    }
  if (size <= maxBytes) return Buffer.concat(chunks)
  throw new DomainError('too_large', `The request has more than ${maxBytes} bytes.`, { resource: 'request' })
}

/** @throws AbortError when the client leaves, or is cut off because it was too slow. */
async function* untilItLeaves(request: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* request as AsyncIterable<Buffer>
  } catch (error) {
    throw errnoOf(error) === 'ECONNRESET' ? new DOMException('the client has left', 'AbortError') : error
  }
}

function invalid(message: string, cause?: unknown): DomainError {
  return new DomainError('invalid', message, { resource: 'request' }, { cause })
}
