/** Which of a blob's bytes an answer has, and which of those are the wanted ones. */
export interface BlobSelection {
  /** Of the whole blob, where the answer tells it. */
  readonly size: number | undefined
  /** Bytes at the beginning of the answer that are not wanted. */
  readonly skip: number
  /** Bytes after those that are; undefined: all that come. */
  readonly take: number | undefined
  /** Whether the answer should end with them. */
  readonly isWhole: boolean
}

export interface WantedBytes {
  readonly first: number
  /** Inclusive; undefined for the rest. */
  readonly last?: number | undefined
  /** Of the blob, where it is known already. */
  readonly size?: number | undefined
}

type Answer = { readonly status: number; header(name: string): string | undefined }

/**
 * What to read of an answer with status 200 or 206 (RFC 9110, 14.4). A whole blob in place of a range is legal.
 * @returns 'outside' when the blob has no such bytes, or what is wrong with the answer, as the end of a sentence.
 */
export function selectionOf(
  answer: Answer,
  { first, last, size: known }: WantedBytes,
): BlobSelection | 'outside' | { readonly wrong: string } {
  if (answer.status === 206) return partOf(answer.header('content-range') ?? '', { first, last, size: known })
  const length = lengthOf(answer)
  const size = length ?? known
  if (length !== undefined && known !== undefined && length !== known)
    return { wrong: `has ${length} bytes where it had ${known}` }
  if (size === undefined)
    return { size, skip: first, take: takeUpTo(first, last), isWhole: last === undefined }
  if (first > 0 && first >= size) return 'outside'
  const end = Math.min(last ?? size, size - 1)
  return { size, skip: first, take: end - first + 1, isWhole: end === size - 1 }
}

/** `Content-Length`, where it can be a blob's. */
export function lengthOf(answer: Answer): number | undefined {
  const text = answer.header('content-length') ?? ''
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** The size that `Content-Range` tells: `bytes 0-0/1234`, or `bytes *\/1234` of what was not satisfied. */
export function totalIn(contentRange: string): number | undefined {
  const [, total] = /^bytes (?:\d{1,15}-\d{1,15}|\*)\/(\d{1,15})$/i.exec(contentRange.trim()) ?? []
  return total === undefined ? undefined : Number(total)
}

function partOf(header: string, { first, last, size: known }: WantedBytes): ReturnType<typeof selectionOf> {
  const [, from, to] = /^bytes (\d{1,15})-(\d{1,15})\/(?:\d{1,15}|\*)$/i.exec(header.trim()) ?? []
  const [start, end] = [Number(from), Number(to)]
  const total = totalIn(header)
  const size = total ?? known
  if (total !== undefined && known !== undefined && total !== known)
    return { wrong: `has ${total} bytes where it had ${known}` }
  const wantedEnd = size === undefined ? last : Math.min(last ?? size - 1, size - 1)
  if (from === undefined || start !== first || end < start || (wantedEnd ?? end) !== end)
    return { wrong: `came with the range ${JSON.stringify(header.slice(0, 80))} in place of the wanted one` }
  return { size, skip: 0, take: end - start + 1, isWhole: true }
}

function takeUpTo(first: number, last: number | undefined): number | undefined {
  return last === undefined ? undefined : last - first + 1
}
