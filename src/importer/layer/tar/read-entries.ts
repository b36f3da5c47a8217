import type { Readable } from 'node:stream'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ByteString } from '../byte-string.ts'
import type { LayerEntry } from '../entry.ts'
import type { LayerLimits } from '../limits.ts'
import { EntrySource } from './entry-source.ts'

export interface ReadEntriesOptions extends Abortable {
  readonly limits: LayerLimits
  /**
   * Called for each global PAX header, with the keys of its records. It applies to no entry. It is read ahead, so the
   * call may come before the entries in front of it.
   */
  readonly onGlobalHeader?: ((keys: readonly ByteString[]) => void) | undefined
}

/**
 * The entries of a tar stream, in order. Ends only after the stream has been read to its end, past the
 * end-of-archive. Leaving early destroys `tar`; so does every failure.
 * @throws DomainError `invalid`, `unsupported`, `too_large` for the layer's fault, always after the same entries; and
 * whatever `tar` fails with.
 */
export async function* readEntries(
  tar: Readable,
  { limits, signal, onGlobalHeader }: ReadEntriesOptions,
): AsyncGenerator<LayerEntry, void, undefined> {
  try {
    signal?.throwIfAborted()
    const entries = new EntrySource(tar, limits, keys => onGlobalHeader?.(keys), { signal })
    do
      for (let entry = entries.shift(); entry !== undefined; entry = entries.shift()) {
        yield entry
        signal?.throwIfAborted()
      }
    while (await entries.fetch())
  } finally {
    tar.destroy()
  }
}
