import type { IncomingHttpHeaders } from 'node:http'
import { DomainError } from '../errors.ts'
import { announcedLength } from './request.ts'

/** What the headers say of one body that goes into an upload session. */
export interface ChunkRange {
  /** Where the body begins in the blob, when the client says so. */
  readonly at?: number | undefined
  /** Bytes of the body; undefined when they are not announced. */
  readonly length?: number | undefined
}

/**
 * distribution-spec, "Pushing a blob in chunks": `Content-Range: <first>-<last>`, without unit and total. With
 * an empty body it means nothing, and one known client sends it nevertheless.
 *
 * @throws DomainError `invalid` (malformed), `out_of_range` (reversed), `size_mismatch` (not the length of the body).
 */
export function chunkRangeOf(headers: IncomingHttpHeaders): ChunkRange {
  const announced = announcedLength(headers)
  const text = headers['content-range']
  if (text === undefined || announced === 0) return { length: announced }
  const [, first, last] = /^(\d{1,15})-(\d{1,15})$/.exec(text) ?? []
  if (first === undefined || last === undefined)
    throw new DomainError(
      'invalid',
      `The Content-Range ${JSON.stringify(text)} is malformed; write <first>-<last>, such as 0-1023.`,
      { resource: 'upload' },
    )
  const length = Number(last) - Number(first) + 1
  if (length <= 0)
    throw new DomainError('out_of_range', `The Content-Range ${text} ends before it begins.`, {
      resource: 'upload',
    })
  if (announced !== undefined && announced !== length)
    throw new DomainError(
      'size_mismatch',
      `The Content-Range ${text} has ${length} bytes, but the Content-Length is ${announced}.`,
      { resource: 'upload' },
    )
  return { at: Number(first), length }
}
