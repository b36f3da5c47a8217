import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import type { Abortable } from '../../../storage/abortable.ts'
import type { LayerEntry } from '../entry.ts'
import type { LayerLimits } from '../limits.ts'
import { toLayerEntry } from './tar-entry.ts'
import { TarGuard } from './tar-guard.ts'

export interface ReadEntriesOptions extends Abortable {
  readonly limits: LayerLimits
}

/** tar-stream's types leave these out. Formats are the guard's business. */
const extractOptions: Parameters<typeof extract>[0] & {
  readonly filenameEncoding: 'latin1'
  readonly allowUnknownFormat: boolean
} = { filenameEncoding: 'latin1', allowUnknownFormat: true }

/**
 * The entries of a tar stream, in order. Ends only after the stream has been read to its end, past the
 * end-of-archive. Leaving early destroys `tar`; so does every failure.
 * @throws DomainError `invalid`, `unsupported`, `too_large` for the layer's fault; and whatever `tar` fails with.
 */
export async function* readEntries(
  tar: Readable,
  { limits, signal }: ReadEntriesOptions,
): AsyncGenerator<LayerEntry, void, undefined> {
  const extractor = extract(extractOptions)
  const settled = pipeline(tar, new TarGuard(), extractor, { signal }).then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  try {
    for await (const entry of extractor) {
      signal?.throwIfAborted()
      // Its types do not say that it yields Buffers.
      yield toLayerEntry(entry.header, entry as AsyncIterable<Buffer>, limits)
      entry.resume()
    }
  } finally {
    await settled
  }
  const failure = await settled
  if (failure !== undefined) throw failure.error
}
