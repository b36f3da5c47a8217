import { DomainError, type Resource } from '../errors.ts'
import { announcedLength, type RegistryRequest } from './request.ts'

/**
 * A whole body in memory.
 * @param limit bytes.
 * @throws DomainError `too_large`, before reading when the length is announced.
 */
export async function readBounded(
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
  return Buffer.concat(chunks, size)
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
