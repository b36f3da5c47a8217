import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'
import { BytesStream } from '../../storage/streams/bytes-stream.ts'
import type { Handler, HandlerLayer } from '../handler.ts'
import type { Content, Reply } from '../reply.ts'
import { announcedLength } from '../request.ts'
import { type LimitedParty, PartyBuckets, partyOf } from './limited-party.ts'
import { type Pace, PacedStream, paced } from '../../storage/streams/paced-stream.ts'

/** Bytes that one transfer passes before it is the others' turn. */
const longestSlice = 64 * 1024

export interface BandwidthOptions {
  /** Of one account, or of one address where there is no account, in each direction. One second's may pass at once. */
  readonly bytesPerSecond: number
  /** Milliseconds that only grow. */
  readonly now: () => number
  readonly sleep?: ((ms: number, options: Abortable) => Promise<void>) | undefined
}

/**
 * Lets the bytes of bodies pass no faster than they may. The transfers of one account ask for slices of one size, one
 * after the other, so each gets the same share. Slices are so short that no connection is silent for long.
 */
export class Bandwidth implements HandlerLayer {
  readonly #sliceBytes: number
  readonly #in: PartyBuckets
  readonly #out: PartyBuckets
  readonly #sleep: NonNullable<BandwidthOptions['sleep']>

  constructor({ bytesPerSecond, now, sleep = sleepAwhile }: BandwidthOptions) {
    const rate = { perSecond: bytesPerSecond, burst: bytesPerSecond }
    this.#sliceBytes = Math.max(1, Math.min(longestSlice, Math.floor(bytesPerSecond / 4)))
    this.#sleep = sleep
    this.#in = new PartyBuckets({ rate, now })
    this.#out = new PartyBuckets({ rate, now })
  }

  around(_operation: string, handler: Handler): Handler {
    return async request => {
      const party = partyOf(request)
      if (announcedLength(request.headers) === 0) return this.#send(await handler(request), party)
      const body = new PacedStream(request.body, this.#pace(this.#in, party), { owns: false })
      try {
        return this.#send(await handler({ ...request, body }), party)
      } finally {
        body.destroy()
      }
    }
  }

  #send(reply: Reply, party: LimitedParty): Reply {
    const { content } = reply
    if (content === undefined) return reply
    return { ...reply, content: this.#paced(content, this.#pace(this.#out, party)) }
  }

  #paced(content: Content, pace: Pace): Content {
    if ('stream' in content) return { ...content, stream: paced(content.stream, pace) }
    // What is shorter than a slice is not worth a stream; the number of requests has a limit of its own.
    if (!('bytes' in content) || content.bytes.length <= pace.sliceBytes) return content
    const { type, bytes } = content
    return { type, length: bytes.length, stream: paced(new BytesStream(bytes), pace) }
  }

  #pace(buckets: PartyBuckets, party: LimitedParty): Pace {
    return {
      sliceBytes: this.#sliceBytes,
      pass: async (bytes, { signal }) => {
        signal?.throwIfAborted()
        const waitMs = buckets.take(party, bytes)
        if (waitMs > 0) await this.#sleep(waitMs, { signal })
      },
    }
  }
}

async function sleepAwhile(ms: number, { signal }: Abortable): Promise<void> {
  await sleep(ms, undefined, { signal })
}
