/**
 * One of `registry.workers` processes: serves requests on the address that all of them share, and does nothing that
 * has to be done once. It is told what to do by the process that started it, and ends with it.
 */
import type { Config } from '../../config.ts'
import { isDomainError } from '../../errors.ts'
import { createLogger } from '../../log.ts'
import { type Service, startService } from './service.ts'
import { openStores } from './stores.ts'
import { type FromWorker, isToWorker } from './worker-messages.ts'

const stopping = new AbortController()
// A signal to the whole group reaches us as well, but when to stop is said by the process that started us.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {})
process.on('disconnect', () => stopping.abort())
process.on('message', (message: unknown) => {
  if (!isToWorker(message)) return
  if (message.type === 'stop') stopping.abort()
  else void run(message.config)
})

async function run(config: Config): Promise<void> {
  try {
    await using stack = new AsyncDisposableStack()
    const log = createLogger(config.log)
    const { signal } = stopping
    const stores = stack.use(await openStores(config, { migrate: false, log, signal }))
    const service: Service = await startService(config, stores, log)
    stack.defer(() => service.close())
    service.metrics.joinCluster()
    tell({ type: 'listening', address: service.address })
    await new Promise<void>(resolve => {
      if (stopping.signal.aborted) resolve()
      else stopping.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  } catch (error) {
    tell(failure(error))
    process.exitCode = 1
  } finally {
    if (process.connected) process.disconnect()
  }
}

function failure(error: unknown): FromWorker {
  if (isDomainError(error))
    return { type: 'failed', message: error.message, code: error.code, details: error.details }
  return { type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message)
}
