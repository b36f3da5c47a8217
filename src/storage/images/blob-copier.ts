import pLimit, { type LimitFunction } from 'p-limit'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { BlobBody, BlobInfo } from '../blobs/blob-store.ts'
import type { Descriptor } from '../descriptor.ts'
import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import { BlobFlights } from './blob-flights.ts'
import { defaultConcurrency } from './copy-limits.ts'
import type { CopyScope } from './copy-scope.ts'
import { ifThere } from './if-there.ts'

interface BegunBlob {
  readonly size: number
  readonly done: Promise<boolean>
}

/** Brings blobs to the target, each once, and so many at once: there already, else mounted, else copied. */
export class BlobCopier {
  readonly #scope: CopyScope
  readonly #limit: LimitFunction
  readonly #flights: BlobFlights
  readonly #begun = new Map<Digest, BegunBlob>()

  constructor(scope: CopyScope) {
    this.#scope = scope
    this.#limit = pLimit(scope.options.concurrency ?? defaultConcurrency)
    this.#flights = scope.options.flights ?? new BlobFlights()
  }

  /**
   * @param isOptional it may be missing at the source: a layer that says where else it is.
   * @returns whether the target has it.
   */
  async copy(
    { digest, size }: Descriptor,
    { isOptional }: { readonly isOptional: boolean },
  ): Promise<boolean> {
    const before = this.#begun.get(digest)
    if (before !== undefined) {
      if (before.size !== size) throw otherSize({ digest, size }, before.size, this.#scope.source.label)
      const isThere = await before.done
      if (isThere || isOptional) return isThere
      throw this.#absent(digest)
    }
    this.#scope.countBlob()
    const done = this.#limit(() => this.#bring({ digest, size }, isOptional))
    this.#begun.set(digest, { size, done })
    return await done
  }

  async #bring(blob: BlobInfo, isOptional: boolean): Promise<boolean> {
    const { signal, progress } = this.#scope
    signal.throwIfAborted()
    progress.blob?.(blob, 'begun')
    return await this.#flights.alone(blob.digest, () => this.#bringAlone(blob, isOptional), this.#scope)
  }

  async #bringAlone(blob: BlobInfo, isOptional: boolean): Promise<boolean> {
    const { target, tally, progress, options, signal } = this.#scope
    const { digest } = blob
    const isAtSource = this.#askingOnce(blob)
    if (await target.hasBlob(blob, this.#scope)) {
      tally.blobsPresent += 1
      progress.blob?.(blob, 'present')
    } else if (isOptional && !(await isAtSource())) return false
    else if (await target.mountBlob(blob, this.#mountFrom(digest), { signal, isAtSource })) {
      tally.blobsMounted += 1
      progress.blob?.(blob, 'mounted')
    } else {
      // Not in one expression: others count meanwhile.
      const came = await this.#put(blob, isAtSource)
      tally.bytes += came
      tally.blobsCopied += 1
      progress.blob?.(blob, 'copied')
    }
    if (options.repository !== undefined) this.#flights.arrived(digest, options.repository)
    return true
  }

  /** @throws DomainError `size_mismatch`. */
  #askingOnce(blob: BlobInfo): () => Promise<boolean> {
    let asked: Promise<boolean> | undefined
    const ask = async (): Promise<boolean> => {
      const found = await ifThere(this.#scope.source.statBlob(blob.digest, this.#scope))
      if (found !== undefined && found.size !== blob.size)
        throw otherSize(blob, found.size, this.#scope.source.label)
      return found !== undefined
    }
    return () => (asked ??= ask())
  }

  /** @returns bytes that came. */
  async #put(blob: BlobInfo, isAtSource: () => Promise<boolean>): Promise<number> {
    let came = 0
    try {
      await this.#scope.target.putBlob(blob, (offset, options) => this.#open(blob, offset, options), {
        signal: this.#scope.signal,
        isAtSource,
        onStored: (stored, { kept }) => {
          came = Math.max(came, stored - kept)
          this.#scope.progress.bytes?.(blob, stored)
        },
      })
    } catch (error) {
      throw fromSource(error, blob, this.#scope.source.label)
    }
    return came
  }

  async #open(blob: BlobInfo, offset: number, options: Abortable): Promise<BlobBody['stream']> {
    const range = offset === 0 ? undefined : { first: offset, last: blob.size - 1 }
    const { size, stream } = await this.#scope.source.openBlob(blob.digest, { ...options, range })
    if (size === blob.size) return stream
    stream.destroy()
    throw otherSize(blob, size, this.#scope.source.label)
  }

  #mountFrom(digest: Digest): readonly RepositoryName[] {
    const { mountFrom = [], repository } = this.#scope.options
    const lately = this.#flights.whereabouts(digest)
    return lately === undefined || lately === repository ? mountFrom : [lately, ...mountFrom]
  }

  #absent(digest: Digest): DomainError {
    return new DomainError('not_found', `${this.#scope.source.label} does not have the blob ${digest}.`, {
      resource: 'blob',
      name: digest,
    })
  }
}

/** The target does not know where wrong bytes come from. */
function fromSource(error: unknown, { digest }: BlobInfo, label: string): unknown {
  if (!isDomainError(error, 'digest_mismatch', 'size_mismatch') || error.message.includes(label)) return error
  return new DomainError(
    error.code,
    `The blob ${digest} cannot be copied from ${label}: ${error.message}`,
    error.details,
    { cause: error },
  )
}

function otherSize({ digest, size }: BlobInfo, actual: number, label: string): DomainError {
  return new DomainError(
    'size_mismatch',
    `The blob ${digest} of ${label} has ${actual} bytes where a manifest says ${size}.`,
    {
      resource: 'blob',
      name: digest,
    },
  )
}
