import { advance, capacityOf, filled, type Span, spanToRead, spanToWrite } from './positions.ts'

/** Elements of the control block. Each side waits on a count that whoever may end its waiting raises. */
const written = 0
const read = 1
const isEnded = 2
const isStopped = 3
const newsForReader = 4
const newsForWriter = 5
const controlElements = 6
/** The control block has a cache line of its own. */
const dataOffset = 64

/** The stream in the ring was stopped: whatever is still in it is of no use. */
export class RingStopped extends Error {
  override readonly name = 'RingStopped'

  constructor() {
    super('the ring was stopped')
  }
}

/**
 * A stream of bytes from one thread to another through shared memory: one writer, one reader, and anybody may stop
 * it. Neither blocks its thread: a reader that did would sit on bytes that it has read ahead.
 *
 * The memory serves one stream after the other. Each side has an instance of its own for each stream, and leaves it: what
 * still waits in it then can no longer touch the next stream.
 */
export class SharedRing {
  /** What another thread needs to have the same ring. */
  readonly memory: SharedArrayBuffer
  readonly capacity: number
  readonly #control: Int32Array<SharedArrayBuffer>
  readonly #data: Buffer<SharedArrayBuffer>
  #isLeft = false

  /** @param bytes of memory that its content may take; rounded down to a power of two. */
  static ofSize(bytes: number): SharedRing {
    return new SharedRing(new SharedArrayBuffer(dataOffset + capacityOf(bytes)))
  }

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.capacity = memory.byteLength - dataOffset
    this.#control = new Int32Array(memory, 0, controlElements)
    this.#data = Buffer.from(memory, dataOffset, this.capacity)
  }

  get isStopped(): boolean {
    return this.#get(isStopped) === 1
  }

  /** Makes it as new for the next stream. Neither side may be using it. */
  reset(): void {
    this.#control.fill(0)
  }

  /** Nothing more is written or read; both sides are woken. Idempotent, from any thread. */
  stop(): void {
    this.#set(isStopped, 1)
    this.#tell(newsForReader)
    this.#tell(newsForWriter)
  }

  /** This side has done with the stream, whatever of it is still waiting; nothing else changes for the other side. */
  leave(): void {
    this.#isLeft = true
  }

  /** For the writer: copies all of `bytes` in, waiting for room. @throws RingStopped */
  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const seen = this.#get(newsForWriter)
      this.#refuseStopped()
      const { start, length } = this.#roomFor(rest.length)
      if (length === 0) {
        await Atomics.waitAsync(this.#control, newsForWriter, seen).value
        continue
      }
      this.#data.set(rest.subarray(0, length), start)
      this.#set(written, advance(this.#get(written), length))
      this.#tell(newsForReader)
      rest = rest.subarray(length)
    }
  }

  /** For the writer: after this the reader comes to the end. */
  end(): void {
    this.#set(isEnded, 1)
    this.#tell(newsForReader)
  }

  /**
   * For the reader: waits until there is something to read, and gives it as a view of the ring's memory. The bytes are
   * the reader's until it says {@link release}.
   * @returns at most `most` bytes; undefined at the end.
   * @throws RingStopped
   */
  async take(most: number): Promise<Buffer<SharedArrayBuffer> | undefined> {
    for (;;) {
      const seen = this.#get(newsForReader)
      this.#refuseStopped()
      // Before looking for bytes: the writer ends after its last ones.
      const isOver = this.#get(isEnded) === 1
      const { start, length } = spanToRead(this.#get(written), this.#get(read), this.capacity, most)
      if (length > 0) return this.#data.subarray(start, start + length)
      if (isOver) return undefined
      await Atomics.waitAsync(this.#control, newsForReader, seen).value
    }
  }

  /**
   * For the reader: the next `length` bytes have been read and may be written over. A writer who waits, because the ring was
   * full, is woken when half of it is free: each waking costs as much as some entries.
   */
  release(length: number): void {
    if (this.#isLeft) return
    const position = advance(this.#get(read), length)
    this.#set(read, position)
    if (filled(this.#get(written), position) <= this.capacity / 2) this.#tell(newsForWriter)
  }

  #roomFor(wanted: number): Span {
    return spanToWrite(this.#get(written), this.#get(read), this.capacity, wanted)
  }

  #refuseStopped(): void {
    if (this.#isLeft || this.isStopped) throw new RingStopped()
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
