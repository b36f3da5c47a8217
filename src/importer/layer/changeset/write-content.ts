import type { FileEntry } from '../entry.ts'
import type { NewFile } from '../tree/new-file.ts'
import { invalidLayer } from '../layer-errors.ts'

/** All of a file's content, where it is there already and has no holes. */
export function wholeContentOf({ size, body, segments }: FileEntry): Uint8Array | undefined {
  if (size === 0) return nothing
  return segments === undefined ? body.whole : undefined
}

const nothing = new Uint8Array()

/**
 * Writes a file's content, its holes left as holes.
 * @param onWritten called after each piece, with its bytes.
 */
export async function writeContent(
  file: NewFile,
  { size, body, segments }: FileEntry,
  onWritten: (bytes: number) => void,
): Promise<void> {
  if (segments === undefined) {
    for await (const chunk of body) {
      file.write(chunk)
      onWritten(chunk.length)
    }
    return
  }
  let index = 0
  let done = 0
  for await (const chunk of body)
    for (let rest = chunk; rest.length > 0; ) {
      const segment = segments[index]
      if (segment === undefined) throw invalidLayer('a sparse file in it has more content than its map says')
      const part = rest.subarray(0, segment.length - done)
      file.write(part, segment.offset + done)
      onWritten(part.length)
      done += part.length
      rest = rest.subarray(part.length)
      if (done === segment.length) {
        index++
        done = 0
      }
    }
  file.setSize(size)
}
