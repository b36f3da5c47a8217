import type { Handler, HandlerLayer } from '../handler.ts'
import { Bandwidth } from './bandwidth.ts'
import { RequestLimits } from './request-limits.ts'
import type { OnLimited } from './throttled.ts'
import { UploadSlots } from './upload-slots.ts'

/** What one account, or one address where there is no account, may take of the registry. 0: no limit. */
export interface LimitSettings {
  /** On average. */
  readonly requestsPerSecond: number
  /** Requests at once. */
  readonly requestBurst: number
  /** From one address, to what takes passwords. */
  readonly loginsPerMinute: number
  /** In each direction. */
  readonly bytesPerSecond: number
  /** Uploads at once. */
  readonly uploads: number
}

export interface LimitsOptions {
  /** Told of each refusal. */
  readonly onLimited?: OnLimited | undefined
  /** Milliseconds that only grow. */
  readonly now?: (() => number) | undefined
}

/** The limits that are set, one within the other. Counted in this process alone: see {@link shareOf}. */
export function createLimits(
  { requestsPerSecond, requestBurst, loginsPerMinute, bytesPerSecond, uploads }: LimitSettings,
  { onLimited = () => {}, now = performance.now.bind(performance) }: LimitsOptions = {},
): HandlerLayer {
  const layers: HandlerLayer[] = [
    new RequestLimits({
      requests: requestsPerSecond === 0 ? undefined : { perSecond: requestsPerSecond, burst: requestBurst },
      logins: { perSecond: loginsPerMinute / 60, burst: loginsPerMinute },
      now,
      onLimited,
    }),
  ]
  if (uploads > 0) layers.push(new UploadSlots(uploads, onLimited))
  if (bytesPerSecond > 0) layers.push(new Bandwidth({ bytesPerSecond, now }))
  return {
    around: (operation: string, handler: Handler): Handler =>
      layers.reduceRight((inner, layer) => layer.around(operation, inner), handler),
  }
}

/**
 * The part of the limits that one of several processes on one address keeps to. They share nothing, and connections go
 * to them in turn; so all together let nobody have more than is set, and a client with one connection has less.
 */
export function shareOf(limits: LimitSettings, workers: number): LimitSettings {
  const part = (whole: number): number => (whole === 0 ? 0 : Math.max(1, Math.ceil(whole / workers)))
  return {
    requestsPerSecond: limits.requestsPerSecond / workers,
    requestBurst: part(limits.requestBurst),
    loginsPerMinute: part(limits.loginsPerMinute),
    bytesPerSecond: part(limits.bytesPerSecond),
    uploads: part(limits.uploads),
  }
}
