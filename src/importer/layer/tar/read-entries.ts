import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import type { Abortable } from '../../../storage/abortable.ts'
import type { ByteString } from '../byte-string.ts'
import type { LayerEntry } from '../entry.ts'
import type { LayerLimits } from '../limits.ts'
import { EntryBody } from './entry-body.ts'
import { TarFront } from './tar-front.ts'

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
  const extractor = extract()
  const front = new TarFront(extractor, limits, keys => onGlobalHeader?.(keys))
  let body: EntryBody | undefined
  let broken: Error | undefined
  extractor.on('error', error => {
    broken = front.failure ?? error
    body?.fail(broken)
  })
  let failed: { readonly error: unknown } | undefined
  const settled = pipeline(tar, front, { signal }).catch((error: unknown) => {
    failed ??= { error }
  })
  try {
    for await (const source of extractor) {
      if (signal?.aborted === true) break
      const { facts, storedBytes } = front.shift(source.header)
      if (facts.type !== 'file') {
        yield facts
        continue
      }
      body = new EntryBody(source, storedBytes)
      if (broken !== undefined) body.fail(broken)
      yield { ...facts, body }
      body.leave()
    }
  } catch (error) {
    failed ??= { error }
  } finally {
    await settled
  }
  if (front.failure !== undefined) throw front.failure
  if (failed !== undefined) throw failed.error
  // Told to stop when all had been read already, but not yielded.
  signal?.throwIfAborted()
}
