import type { RemoteRequest, TrafficObserver } from '../../storage/remote/remote-registries.ts'

/** Counts what one run asks of registries elsewhere: both of its ends are opened with it. */
export class MirrorTraffic implements TrafficObserver {
  /** Sources and targets together. */
  requests = 0
  /** Bytes of blobs. */
  received = 0
  sent = 0
  readonly #also: TrafficObserver | undefined

  /** @param also who is told of the same, for metrics. */
  constructor(also?: TrafficObserver) {
    this.#also = also
  }

  request(request: RemoteRequest): void {
    this.requests += 1
    this.#also?.request(request)
  }

  bytes(direction: 'received' | 'sent', count: number): void {
    this[direction] += count
    this.#also?.bytes(direction, count)
  }

  quota(...[quota]: Parameters<NonNullable<TrafficObserver['quota']>>): void {
    this.#also?.quota?.(quota)
  }
}
