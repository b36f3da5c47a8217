import { DomainError, type Resource } from '../errors.ts'
import { announcedLength, type RegistryRequest } from './request.ts'

/**
 * A whole body in memory, which counts as buffered until the request ends. Waits when too much is buffered already.
 * @param limit bytes.
 * @throws DomainError `too_large`, before reading when the length is announced.
 */
export async function readBounded(
  { headers, body, signal, reserve }: RegistryRequest,
  limit: number,
  resource: Resource,
): Promise<Uint8Array> {
  signal.throwIfAborted()
  const announced = announcedLength(headers)
  if ((announced ?? 0) > limit) throw tooLarge(limit, resource)
  const capacity = announced ?? limit
  await reserve(capacity)
  const memory = Buffer.allocUnsafeSlow(capacity)
  let size = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    if (size + chunk.length > capacity) throw tooLarge(limit, resource)
    memory.set(chunk, size)
    size += chunk.length
  }
  return memory.subarray(0, size)
}

/**
 * A whole small body of somebody who is not known yet. Takes memory only for what has come, and none of that which
 * pushes wait for: with a thousand slow connections a stranger could have all of it reserved.
 * @param limit bytes; about as many as a request's headers may have.
 * @throws DomainError `too_large`, before reading when the length is announced.
 */
export async function readSmall(
  { headers, body, signal }: RegistryRequest,
  limit: number,
  resource: Resource,
): Promise<Uint8Array> {
  signal.throwIfAborted()
  if ((announcedLength(headers) ?? 0) > limit) throw tooLarge(limit, resource)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > limit) throw tooLarge(limit, resource)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function tooLarge(limit: number, resource: Resource): DomainError {
  return new DomainError(
    'too_large',
    `The ${resource} is larger than ${limit} bytes, which is the most that is taken.`,
    {
      resource,
    },
  )
}
