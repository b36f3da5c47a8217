export interface AdmissionLimits {
  /** Layers that are decompressed before it is their turn. */
  readonly ahead: number
  /** Layers that are applied at once. */
  readonly applying: number
}

/** A layer's place in the queues. */
export interface Ticket {
  /** Resolves when the layer may be read. Never rejects. */
  readonly admitted: Promise<void>
  /** Asks for the layer's turn. Resolves when it has come; the layer is admitted then, too. */
  takeTurn(): Promise<void>
  /** Gives everything up. Idempotent. */
  leave(): void
}

/**
 * Decides which layers may use memory and threads. One whose turn has come never waits for one that is only ahead: those
 * have their own places, which it leaves when its turn comes.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  /** In the order in which they came. */
  readonly #queued = new Set<Place>()
  readonly #ahead = new Set<Place>()
  readonly #wantTurn = new Set<Place>()
  readonly #applying = new Set<Place>()

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  enter(): Ticket {
    const place: Place = { admitted: Promise.withResolvers(), turn: Promise.withResolvers() }
    this.#queued.add(place)
    this.#admit()
    return {
      admitted: place.admitted.promise,
      takeTurn: async () => {
        this.#wantTurn.add(place)
        this.#admit()
        await place.turn.promise
      },
      leave: () => {
        for (const places of [this.#queued, this.#ahead, this.#wantTurn, this.#applying]) places.delete(place)
        this.#admit()
      },
    }
  }

  #admit(): void {
    for (const place of this.#wantTurn) {
      if (this.#applying.size >= this.#limits.applying) break
      for (const places of [this.#queued, this.#ahead, this.#wantTurn]) places.delete(place)
      this.#applying.add(place)
      place.admitted.resolve()
      place.turn.resolve()
    }
    for (const place of this.#queued) {
      if (this.#ahead.size >= this.#limits.ahead) break
      this.#queued.delete(place)
      this.#ahead.add(place)
      place.admitted.resolve()
    }
  }
}

interface Place {
  readonly admitted: PromiseWithResolvers<void>
  readonly turn: PromiseWithResolvers<void>
}
