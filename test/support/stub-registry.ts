import { createRegistryApp } from '../../src/registry/app.ts'
import type { LeftoverLimits } from '../../src/registry/leftover.ts'
import { defaultServerTimeouts, listen, type ServerTimeouts } from '../../src/registry/server.ts'
import { type KeptLog, keepLog } from './log-lines.ts'
import { stubServices } from './stub-services.ts'

export interface StubRegistry extends AsyncDisposable {
  readonly url: string
  readonly kept: KeptLog
  close(): Promise<void>
}

export interface StubRegistryOptions {
  readonly timeouts?: Partial<ServerTimeouts>
  readonly leftoverLimits?: LeftoverLimits
}

/** The real application and server, listening, over services that a test makes up. */
export async function serveStub(
  given: Partial<Record<string, unknown>> = {},
  { timeouts, leftoverLimits }: StubRegistryOptions = {},
): Promise<StubRegistry> {
  const kept = keepLog()
  const app = createRegistryApp({ ...stubServices(given), log: kept.log, leftoverLimits })
  const address = { host: '127.0.0.1', port: 0 }
  const server = await listen(app.callback(), address, { ...defaultServerTimeouts, stopMs: 200, ...timeouts })
  const close = () => server.close()
  return { url: server.url, kept, close, [Symbol.asyncDispose]: close }
}
