/** Where the pushes of one image stand in the stream, as far as they are not imported. */
interface Pending {
  /** The oldest one. */
  first: number
  /** The oldest one that was told of after the running import had begun. */
  again: number | undefined
}

/** How far a stream has been read, and how far all that it told of is done. */
export class Backlog {
  readonly #pending = new Map<string, Pending>()
  #read: number

  /** @param position up to which all is done. */
  constructor(position: number) {
    this.#read = position
  }

  /** Images that are being imported. */
  get size(): number {
    return this.#pending.size
  }

  /** Position of the last event that was read. */
  get read(): number {
    return this.#read
  }

  /** Up to here nothing is left to do: where to go on after a crash. */
  get done(): number {
    let done = this.#read
    for (const { first } of this.#pending.values()) done = Math.min(done, first - 1)
    return done
  }

  /** Nothing is lost by going back. */
  goTo(position: number): void {
    this.#read = position
  }

  has(image: string): boolean {
    return this.#pending.has(image)
  }

  /** An image was pushed. @returns whether its import is to be begun; else it is to be repeated when the running one ends. */
  add(image: string, position: number): boolean {
    const pending = this.#pending.get(image)
    if (pending !== undefined) pending.again ??= position
    else this.#pending.set(image, { first: position, again: undefined })
    return pending === undefined
  }

  /** The import has ended. @returns whether it is to be begun again, for what was pushed meanwhile. */
  settle(image: string): boolean {
    const again = this.#pending.get(image)?.again
    if (again === undefined) this.#pending.delete(image)
    else this.#pending.set(image, { first: again, again: undefined })
    return again !== undefined
  }
}
