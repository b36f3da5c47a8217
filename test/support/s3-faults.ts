import { setTimeout as sleep } from 'node:timers/promises'
import type { S3Exchange, S3Refusal } from './s3-exchange.ts'
import { afterWork, beforeWork, type S3Fault } from './s3-fault-kinds.ts'
import type { S3Operation } from './s3-operation.ts'
import { type S3Proxy, S3ProxyServer } from './s3-proxy.ts'
import type { S3TestServer } from './s3-server.ts'
import { seededRandom } from './seeded-random.ts'

export type { S3Fault } from './s3-fault-kinds.ts'

export interface FaultOptions extends FaultMix {
  /** Of the random source. Requests that run side by side draw from it in the order in which they come. */
  readonly seed?: number
}

/** What happens at random, from now on. */
export interface FaultMix {
  /** Share of requests with this fault, 0 to 1 each; together at most 1. A fault that does not fit a request is none. */
  readonly rates?: Readonly<Partial<Record<S3Fault, number>>>
  /** Each request waits for up to so long before anything else happens. */
  readonly latencyMs?: number
  /** Up to so many requests in a row get the same `internal-error` or `slow-down`; 1 by default. */
  readonly burst?: number
  /** Only these; all by default. */
  readonly operations?: readonly S3Operation[] | undefined
}

/** Requests of any operation and of any key, unless given. */
export interface PlanOptions {
  readonly operation?: S3Operation | undefined
  readonly key?: string | undefined
  readonly times?: number
}

/** What the server thinks of the credentials: 400 ExpiredToken, 403 AccessDenied. */
export type CredentialState = 'valid' | 'expired' | 'denied'

export interface FaultyS3 extends S3Proxy {
  /** Replaces what happens at random; `{}` for nothing. */
  set(mix: FaultMix): void
  /** The next requests that fit have this fault, before any random one. */
  failNext(fault: S3Fault, options?: PlanOptions): void
  credentialsAre(state: CredentialState): void
  /** Connections are cut and refused from when this resolves, until `recover`. */
  outage(): Promise<void>
  recover(): Promise<void>
  /** How often each fault has happened. */
  injected(): Readonly<Partial<Record<S3Fault, number>>>
}

/** Puts switchable faults in front of a server, or of another proxy. Without options it only passes on. */
export async function startFaultyS3(server: S3TestServer, options: FaultOptions = {}): Promise<FaultyS3> {
  const faults = new Faults(options)
  const proxy = await S3ProxyServer.start(server, exchange => handle(exchange, faults))
  const stop = (): Promise<void> => proxy.stop()
  return {
    endpoint: proxy.endpoint,
    region: proxy.region,
    bucket: proxy.bucket,
    credentials: proxy.credentials,
    requests: () => proxy.requests(),
    countByOperation: () => proxy.countByOperation(),
    forgetRequests: () => proxy.forgetRequests(),
    set: mix => faults.set(mix),
    failNext: (fault, options = {}) => faults.plan(fault, options),
    credentialsAre: state => {
      faults.credentials = state
    },
    outage: () => proxy.close(),
    recover: () => proxy.open(),
    injected: () => ({ ...faults.injected }),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function handle(exchange: S3Exchange, faults: Faults): Promise<void> {
  await sleep(faults.latency())
  if (faults.credentials !== 'valid') return await exchange.refuse(refusedCredentials[faults.credentials])
  const fault = faults.draw(exchange)
  const before = fault === undefined ? undefined : beforeWork[fault]
  if (before !== undefined) return await before(exchange)
  const answer = await exchange.forward()
  const after = fault === undefined ? undefined : afterWork[fault]
  await (after === undefined ? exchange.answer(answer) : after(exchange, answer))
}

const refusedCredentials: Readonly<Record<Exclude<CredentialState, 'valid'>, S3Refusal>> = {
  expired: { status: 400, code: 'ExpiredToken', message: 'The provided token has expired.' },
  denied: { status: 403, code: 'AccessDenied', message: 'Access Denied' },
}

interface Planned {
  readonly fault: S3Fault
  readonly operation: S3Operation | undefined
  readonly key: string | undefined
  times: number
}

/** Decides which request gets which fault. */
class Faults {
  credentials: CredentialState = 'valid'
  readonly injected: Partial<Record<S3Fault, number>> = {}
  readonly #random: () => number
  readonly #planned: Planned[] = []
  #mix: FaultMix
  #burst: { readonly fault: S3Fault; left: number } | undefined

  constructor({ seed = 1, ...mix }: FaultOptions) {
    this.#random = seededRandom(seed)
    this.#mix = mix
  }

  set(mix: FaultMix): void {
    this.#mix = mix
    this.#burst = undefined
  }

  plan(fault: S3Fault, { operation, key, times = 1 }: PlanOptions): void {
    this.#planned.push({ fault, operation, key, times })
  }

  latency(): number {
    return this.#random() * (this.#mix.latencyMs ?? 0)
  }

  draw(exchange: S3Exchange): S3Fault | undefined {
    const { operation } = exchange.request
    const fault = this.#fromPlan(exchange) ?? this.#fromBurst(operation) ?? this.#atRandom(operation)
    if (fault === undefined || !fits(fault, exchange)) return undefined
    this.injected[fault] = (this.injected[fault] ?? 0) + 1
    return fault
  }

  #fromPlan({ request }: S3Exchange): S3Fault | undefined {
    const next = this.#planned.find(
      ({ operation = request.operation, key = request.key, times }) =>
        times > 0 && operation === request.operation && key === request.key,
    )
    if (next !== undefined) next.times -= 1
    return next?.fault
  }

  #fromBurst(operation: S3Operation): S3Fault | undefined {
    if (this.#burst === undefined || this.#burst.left === 0 || !this.#concerns(operation)) return undefined
    this.#burst.left -= 1
    return this.#burst.fault
  }

  #atRandom(operation: S3Operation): S3Fault | undefined {
    let drawn = this.#random()
    if (!this.#concerns(operation)) return undefined
    for (const [fault, rate] of Object.entries(this.#mix.rates ?? {}) as [S3Fault, number][]) {
      drawn -= rate
      if (drawn >= 0) continue
      if (fault === 'internal-error' || fault === 'slow-down')
        this.#burst = { fault, left: Math.floor(this.#random() * (this.#mix.burst ?? 1)) }
      return fault
    }
    return undefined
  }

  #concerns(operation: S3Operation): boolean {
    return this.#mix.operations?.includes(operation) ?? true
  }
}

const uploads: readonly S3Operation[] = ['PutObject', 'UploadPart']

function fits(fault: S3Fault, { request }: S3Exchange): boolean {
  if (fault === 'reset-in-request') return uploads.includes(request.operation)
  if (fault === 'wrong-bytes') return request.operation === 'GetObject'
  if (fault === 'error-in-ok') return request.operation === 'CompleteMultipartUpload'
  // Nobody sees where an answer without a body ends.
  if (['reset-in-answer', 'truncated', 'stalled'].includes(fault)) return request.operation === 'GetObject'
  return true
}
