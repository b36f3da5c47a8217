import * as z from 'zod'
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../reference.ts'

/** What is taken of an event that another registry tells of; the rest of it is nobody's here. */
export interface StreamedEvent {
  readonly position: number
  readonly kind: string
  readonly action: string
  readonly repository: RepositoryName
  readonly tag?: Tag | undefined
}

/** What is not of the content, runs of mirror jobs for instance: only that it is there. */
export interface OtherEvent {
  readonly position: number
  readonly kind: string
  readonly action: string
  readonly repository?: undefined
}

/** One line of a stream. A line that makes no sense still has its place: positions are without gaps. */
export type EventLine = StreamedEvent | OtherEvent | 'malformed'

const place = z.object({
  position: z.int().positive(),
  kind: z.string().max(64),
  action: z.string().max(64),
})
const ofContent = place.extend({
  repository: z.string().transform(parseRepositoryName),
  tag: z.string().transform(parseTag).optional(),
})

const ofNothing = place.extend({ repository: z.undefined().optional() })
const schema = z.union([ofContent, ofNothing])

/** An event is some hundred bytes; the longest has a user agent of a few KiB. Bytes. */
const maxLineBytes = 64 * 1024
const newline = 0x0a

/** What is left of an answer that breaks off in a line is not a line. */
export async function* eventLinesIn(body: AsyncIterable<Uint8Array>): AsyncGenerator<EventLine> {
  let held: Uint8Array[] = []
  let size = 0
  const add = (part: Uint8Array): void => {
    size += part.length
    // What is too long for an event is not kept either.
    if (size <= maxLineBytes) held.push(part)
    else held = []
  }
  for await (const chunk of body) {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      add(chunk.subarray(start, end))
      start = end + 1
      const line = size <= maxLineBytes ? Buffer.concat(held).toString('utf8') : undefined
      ;[held, size] = [[], 0]
      if (line !== '') yield line === undefined ? 'malformed' : parseEvent(line)
    }
    add(chunk.subarray(start))
  }
}

function parseEvent(line: string): EventLine {
  try {
    return schema.parse(JSON.parse(line))
  } catch {
    return 'malformed'
  }
}
