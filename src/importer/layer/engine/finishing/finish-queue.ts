import type { FileAttributes, MadeFile } from '../../tree/new-file.ts'
import { advance, filled } from '../positions.ts'
import { hasThreadEnded, systemThread } from './system-thread.ts'

/** Elements of the control block. Counts go on where they overflow. */
const given = 0
const done = 1
const newsForTaker = 2
const newsForGiver = 3
const isTakerAsleep = 4
const isServed = 5
const hasFailed = 6
const hasEnded = 7
const takerThread = 8
const controlElements = 9
/** The control block has a cache line of its own. */
const slotsOffset = 64

/** Files that wait at most, each an open descriptor: a power of two. */
const slots = 128
const slotElements = 10
/** Where its content is and how long; before it, numbers of the file as it is and as it is to be. */
const contentElement = 8
const slotBytes = slotElements * Float64Array.BYTES_PER_ELEMENT
/** For the content of those that wait. */
const contentBytes = 1024 * 1024
const contentOffset = slotsOffset + slots * slotBytes
/** What is larger takes so long to write that it is as well written where it is. */
export const maxContentBytes = contentBytes / 8

/**
 * To wake a thread costs as much as finishing a few files. So one that had work a moment ago looks for more by itself, this
 * often (milliseconds), and is woken only when it has found nothing so many times.
 */
const lookAgainAfter = 1
const looksBeforeSleep = 20

/** A thread that runs out of memory ends without a word. So whoever waits for it looks this often whether it is there. */
const lookForTakerAfter = 1000

/** What a file gets. */
export interface Finishing {
  readonly file: MadeFile
  readonly content: Uint8Array
  readonly attributes: FileAttributes
}

/**
 * Files on their way from the thread that makes them to one that finishes them, in order, through shared memory. Both sides
 * have an instance of their own. Giving never waits; taking blocks its thread, which has nothing else to do.
 */
export class FinishQueue {
  /** What the other thread needs to have the same queue. */
  readonly memory: SharedArrayBuffer
  readonly #control: Int32Array<SharedArrayBuffer>
  readonly #slots: Float64Array<SharedArrayBuffer>
  readonly #content: Buffer<SharedArrayBuffer>
  /** Where the content of what was given begins, by slot, and where the last one ends: counted on from round to round. */
  readonly #starts = new Float64Array(slots)
  #end = 0

  constructor(memory = new SharedArrayBuffer(contentOffset + contentBytes)) {
    this.memory = memory
    this.#control = new Int32Array(memory, 0, controlElements)
    this.#slots = new Float64Array(memory, slotsOffset, slots * slotElements)
    this.#content = Buffer.from(memory, contentOffset, contentBytes)
  }

  /** Somebody takes what is given. */
  get isServed(): boolean {
    return this.#get(isServed) === 1
  }

  /** The taker could not finish one of those that are done. */
  get hasFailed(): boolean {
    return this.#get(hasFailed) === 1
  }

  /** For the taker, before it is done with it; and for the giver, who may forget it when nothing is waiting. */
  set hasFailed(failed: boolean) {
    this.#set(hasFailed, failed ? 1 : 0)
  }

  /** Nobody will finish what was given and is not done. */
  get hasEnded(): boolean {
    return this.#get(hasEnded) === 1
  }

  /** Files that are done, a count modulo 2^32. */
  get done(): number {
    return this.#get(done)
  }

  /** Files that were given and are not done. */
  get waiting(): number {
    return filled(this.#get(given), this.#get(done))
  }

  /** For the giver. @returns false when there is no room. */
  give({ file, content, attributes }: Finishing): boolean {
    const count = this.#get(given)
    const finished = this.#get(done)
    const waiting = filled(count, finished)
    const start = startOf(this.#end, content.length)
    const oldest = waiting === 0 ? start : (this.#starts[slotOf(finished)] ?? start)
    if (waiting === slots || start + content.length - oldest > contentBytes) return false
    const slot = slotOf(count)
    const { descriptor, mode, uid, gid } = file
    this.#slots.set(
      [descriptor, mode, uid, gid, attributes.mode, attributes.uid, attributes.gid, attributes.mtime],
      slot * slotElements,
    )
    this.#slots.set([start % contentBytes, content.length], slot * slotElements + contentElement)
    this.#content.set(content, start % contentBytes)
    this.#starts[slot] = start
    this.#end = start + content.length
    this.#set(given, advance(count, 1))
    if (this.#get(isTakerAsleep) === 1) this.#tell(newsForTaker)
    return true
  }

  /** For the giver: blocks until all that was given is done, or nobody will do it. */
  waitUntilDone(): void {
    this.#tell(newsForTaker)
    for (;;) {
      const seen = this.#get(newsForGiver)
      if (this.waiting === 0 || this.hasEnded) return
      const ended = Atomics.wait(this.#control, newsForGiver, seen, lookForTakerAfter)
      if (ended === 'timed-out' && hasThreadEnded(this.#get(takerThread))) this.end()
    }
  }

  /** For the taker: hands all that comes to `finish`, for ever. */
  serve(finish: (finishing: Finishing) => void): never {
    this.#set(takerThread, systemThread())
    this.#set(isServed, 1)
    for (let looks = 0; ; looks++) {
      if (this.waiting > 0) looks = 0
      this.takeAll(finish)
      this.#tell(newsForGiver)
      if (looks < looksBeforeSleep)
        Atomics.wait(this.#control, newsForTaker, this.#get(newsForTaker), lookAgainAfter)
      else this.#sleep()
    }
  }

  /** When the taker ends: whoever waits for it need not any more. */
  end(): void {
    this.#set(isServed, 0)
    this.#set(hasEnded, 1)
    this.#tell(newsForGiver)
  }

  /** For the taker: hands what waits to `finish`, for which alone the content is valid. What it throws on is not done. */
  takeAll(finish: (finishing: Finishing) => void): void {
    for (let count = this.#get(done); count !== this.#get(given); this.#set(done, count)) {
      finish(this.#at(slotOf(count)))
      count = advance(count, 1)
    }
  }

  #sleep(): void {
    const seen = this.#get(newsForTaker)
    this.#set(isTakerAsleep, 1)
    // Whoever gives looks at the mark after giving, so that one of the two sees the other.
    if (this.waiting === 0) Atomics.wait(this.#control, newsForTaker, seen)
    this.#set(isTakerAsleep, 0)
  }

  #at(slot: number): Finishing {
    const at = (element: number): number => this.#slots[slot * slotElements + element] ?? 0
    const start = at(contentElement)
    return {
      file: { descriptor: at(0), mode: at(1), uid: at(2), gid: at(3) },
      attributes: { mode: at(4), uid: at(5), gid: at(6), mtime: at(7) },
      content: this.#content.subarray(start, start + at(contentElement + 1)),
    }
  }

  #get(element: number): number {
    return Atomics.load(this.#control, element)
  }

  #set(element: number, value: number): void {
    Atomics.store(this.#control, element, value)
  }

  #tell(news: number): void {
    Atomics.add(this.#control, news, 1)
    Atomics.notify(this.#control, news)
  }
}

function slotOf(count: number): number {
  return count & (slots - 1)
}

/** Where content of that length is in one piece, from `end` on; the ring's memory begins anew at each multiple of its size. */
function startOf(end: number, length: number): number {
  const place = end % contentBytes
  return place + length <= contentBytes ? end : end - place + contentBytes
}
