import { createLogger, type Logger } from '../../src/log.ts'
import { keepForScan } from './test-logs.ts'

/** A logger that keeps its lines. */
export interface KeptLog {
  readonly log: Logger
  /** As they were written. */
  text(): string
  lines(): Record<string, unknown>[]
  /** Resolves with the first line that fits, now or later. */
  find(fits: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
}

export function keepLog(): KeptLog {
  const written: string[] = []
  const listeners = new Set<() => void>()
  const log = createLogger({
    level: 'info',
    destination: {
      write: line => {
        written.push(line)
        keepForScan(line)
        for (const listener of listeners) listener()
      },
    },
  })
  const lines = () => written.map((line): Record<string, unknown> => JSON.parse(line))
  return {
    log,
    text: () => written.join(''),
    lines,
    find: fits =>
      new Promise(resolve => {
        const look = () => {
          const line = lines().find(fits)
          if (line === undefined) return
          listeners.delete(look)
          resolve(line)
        }
        listeners.add(look)
        look()
      }),
  }
}
