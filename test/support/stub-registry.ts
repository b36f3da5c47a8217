import type { Metrics } from '../../src/metrics/metrics.ts'
import type { AddressRanges } from '../../src/storage/address-ranges.ts'
import { createRegistryApp, type RegistryAppOptions } from '../../src/registry/app.ts'
import type { BodyPace } from '../../src/registry/body-pace.ts'
import type { LeftoverLimits } from '../../src/registry/leftover.ts'
import {
  defaultServerTimeouts,
  listen,
  type ServerTimeouts,
  type ServerTls,
} from '../../src/registry/server.ts'
import { type KeptLog, keepLog } from './log-lines.ts'
import { stubServices } from './stub-services.ts'

export interface StubRegistry extends AsyncDisposable {
  readonly url: string
  readonly kept: KeptLog
  close(): Promise<void>
}

export interface StubRegistryOptions
  extends Pick<RegistryAppOptions, 'security' | 'clientCertificates' | 'hstsSeconds'> {
  readonly timeouts?: Partial<ServerTimeouts>
  readonly leftoverLimits?: LeftoverLimits
  readonly bodyPace?: BodyPace
  readonly trustedProxies?: AddressRanges
  readonly metrics?: Metrics
  readonly tls?: ServerTls
}

/** The real application and server, listening, over services that a test makes up. */
export async function serveStub(
  given: Partial<Record<string, unknown>> = {},
  { timeouts, tls, ...options }: StubRegistryOptions = {},
): Promise<StubRegistry> {
  const kept = keepLog()
  const app = createRegistryApp({ ...stubServices(given), log: kept.log, ...options })
  const address = { host: '127.0.0.1', port: 0 }
  const server = await listen(
    app.callback(),
    address,
    { ...defaultServerTimeouts, stopMs: 200, ...timeouts },
    malformed => kept.log.info(malformed, 'malformed request'),
    tls,
  )
  const close = () => server.close()
  return { url: server.url, kept, close, [Symbol.asyncDispose]: close }
}
