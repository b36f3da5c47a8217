import type { Logger } from '../../log.ts'
import type { RequestSummary } from './observe.ts'

/**
 * One line for each request. The summary holds no headers that could be credentials, so they are not searched for: on
 * each line that took longer than all the rest of it, by a factor of ten.
 */
export function accessLog(log: Logger): (summary: RequestSummary) => void {
  const plain = log.child({}, { redact: { paths: [] } })
  return summary => plain.info(summary, 'request')
}
