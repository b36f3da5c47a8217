import { pipeline, type Readable } from 'node:stream'
import { DomainError, type ErrorCode, isDomainError } from '../../errors.ts'
import { backoffMs } from '../backoff.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { OpenBlobFrom, PutBlobOptions } from '../images/image-repository.ts'
import { BlobPart } from './blob-part.ts'
import type { AskedRepository } from './blob-reads.ts'
import { SentBytes, SentPiece } from './sent-bytes.ts'
import type { UploadSession } from './upload-session.ts'
import { beginSession, closeUpload, nameOf, openSource } from './upload-steps.ts'

/** Times that sending breaks off without anything to show for it. */
const maxFailures = 5
/** So many bytes are something to show. */
const progressBytes = 1024 * 1024
/** The longest pause; longer ones that a registry asks for are not waited for. */
const maxPauseMs = 8_000
/** Of what a registry has lost, not more is sent again. Bytes. */
const chunkBytes = 32 * 1024 * 1024
/** After these the session may go on: its token has run out, it stands elsewhere, or another still writes. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'unavailable',
  'throttled',
  'unauthorized',
  'out_of_range',
  'conflict',
])

/**
 * One blob that is sent as a stream. What breaks off goes on where the registry says that it stands. Some lose a session
 * with its stream: it is begun anew then, and what is in a chunk that was taken is theirs to keep. The session is ended
 * when all has failed.
 */
export class StreamedUpload {
  readonly #asked: AskedRepository
  readonly #blob: BlobInfo
  readonly #open: OpenBlobFrom
  readonly #options: PutBlobOptions
  #sent: SentBytes
  #session: UploadSession | undefined
  #failures = 0
  /** All at once, for that is what every registry takes, until it has been lost. */
  #chunkBytes = Number.POSITIVE_INFINITY

  constructor(asked: AskedRepository, blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions) {
    this.#asked = asked
    this.#blob = blob
    this.#open = open
    this.#options = options
    this.#sent = new SentBytes(blob, nameOf(asked))
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    try {
      let offset = 0
      while (offset < this.#blob.size) {
        this.#session ??= await beginSession(this.#asked, { signal })
        offset = await this.#step(this.#session, offset)
      }
      if (this.#session === undefined) throw new Error('a blob with bytes has a session')
      await closeUpload(this.#asked, this.#session, this.#blob, new Uint8Array(), { signal })
    } catch (error) {
      await this.#session?.cancel()
      throw error
    }
    this.#options.onStored?.(this.#blob.size, { kept: 0 })
  }

  /** Sends from the offset on. @returns where it stands then. */
  async #step(session: UploadSession, offset: number): Promise<number> {
    const end = Math.min(offset + Math.max(this.#chunkBytes, session.minChunkBytes), this.#blob.size)
    const failure = await this.#send(session, offset, end)
    if (failure === undefined) return end
    if (!passing.has(failure.code)) throw failure
    // The registry has to notice, too, that the connection broke.
    await this.#pause(failure)
    const stands = await this.#whereItStands(session, failure)
    if (stands !== undefined) {
      if (stands - offset >= progressBytes) this.#failures = 0
      return stands
    }
    // From the beginning, in another session.
    await session.cancel()
    this.#session = undefined
    this.#chunkBytes = chunkBytes
    this.#sent = new SentBytes(this.#blob, nameOf(this.#asked))
    return 0
  }

  /** @returns how the request has failed. @throws what the source fails with. */
  async #send(session: UploadSession, offset: number, end: number): Promise<DomainError | undefined> {
    const { client } = this.#asked
    const { signal, onStored } = this.#options
    const { size } = this.#blob
    const source = await openSource(this.#asked, this.#open, offset, { signal })
    const isLast = end === size
    const body = new SentPiece(this.#sent, offset, {
      isLast,
      onPassed: (chunk, upTo) => {
        client.traffic.bytes('sent', chunk)
        onStored?.(upTo, { kept: 0 })
      },
    })
    let broken: Error | undefined
    const paced = client.traffic.paced(isLast ? source : this.#chunkOf(source, end - offset))
    // When the request fails first, the source is given up with the request's failure.
    paced.on('error', error => {
      if (!body.destroyed) broken = error
    })
    pipeline(paced, body, () => {})
    const isChunk = offset > 0 || !isLast
    try {
      const answer = await session.send(
        {
          method: 'PATCH',
          stream: body,
          headers: {
            'content-type': 'application/octet-stream',
            'content-length': String(end - offset),
            ...(isChunk ? { 'content-range': `${offset}-${end - 1}` } : {}),
          },
        },
        { signal },
      )
      return [200, 201, 202, 204].includes(answer.status) ? undefined : session.failure(answer)
    } catch (error) {
      signal?.throwIfAborted()
      const ofSource = body.mismatch ?? broken
      if (ofSource !== undefined) throw ofSource
      if (!isDomainError(error)) throw error
      return error
    } finally {
      body.destroy()
      source.destroy()
    }
  }

  #chunkOf(source: Readable, take: number): Readable {
    const mismatch = (): DomainError =>
      new DomainError('size_mismatch', `The blob ${this.#blob.digest} is shorter than it should be.`, {
        resource: 'blob',
        name: this.#blob.digest,
      })
    return new BlobPart(source, { skip: 0, take, isWhole: false, mismatch })
  }

  /** Undefined: not known, or not where we could go on. */
  async #whereItStands(session: UploadSession, failure: DomainError): Promise<number | undefined> {
    try {
      const offset = await session.offset({ signal: this.#options.signal })
      // After a 416 it has other bytes than it says.
      if (failure.code === 'out_of_range' && offset === 0) return undefined
      return offset !== undefined && offset <= this.#sent.hashed ? offset : undefined
    } catch (error) {
      if (isDomainError(error, 'unavailable', 'throttled')) return undefined
      throw error
    }
  }

  /** @throws the failure, when there were too many. */
  async #pause(failure: DomainError): Promise<void> {
    this.#failures += 1
    const askedMs = (failure.details.retryAfterSeconds ?? 0) * 1000
    if (this.#failures > maxFailures || askedMs > maxPauseMs) throw failure
    await this.#asked.client.sleep(backoffMs(this.#failures, maxPauseMs, askedMs) / 4, {
      signal: this.#options.signal,
    })
  }
}
