import { DomainError, isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { createDebugApp, type DebugAppOptions } from '../../registry/debug-app.ts'
import { defaultServerTimeouts, listen, type RunningServer } from '../../registry/server.ts'
import { parseAddress } from '../address.ts'

/**
 * The second server: metrics, health and debug.
 * @param address `registry.metricsAddress`.
 * @returns undefined when none is wanted.
 * @throws DomainError `unavailable` when the address is taken.
 */
export async function startDebugServer(
  address: string,
  options: DebugAppOptions,
  log: Logger,
): Promise<RunningServer | undefined> {
  if (address === '' || address === 'off') return undefined
  const app = createDebugApp(options)
  try {
    // Nobody waits long for an answer here, and a registry that has stopped should be gone.
    const server = await listen(app.callback(), parseAddress(address), {
      ...defaultServerTimeouts,
      stopMs: 1_000,
    })
    log.info({ address: `${server.host}:${server.port}` }, 'metrics are served')
    return server
  } catch (error) {
    if (!isDomainError(error, 'unavailable')) throw error
    throw new DomainError(
      'unavailable',
      `${error.message} That is for metrics and health: give --metrics-address another one, or off for none.`,
      error.details,
      { cause: error },
    )
  }
}
