import { DomainError } from '../../errors.ts'
import { toWire } from '../agent/wire.ts'
import type { ErrorRecord } from './job-records.ts'

/** For what followers are not told more of. */
export const unexpected: ErrorRecord = {
  type: 'error',
  error: { code: 'internal', message: 'The agent failed in a way that it does not know; its log says more.' },
}

export function errorRecord(error: DomainError): ErrorRecord {
  return { type: 'error', ...toWire(error) }
}

export function cancelled(image: string): DomainError {
  return new DomainError(
    'conflict',
    `The import of ${image} was cancelled; ask for it again to start anew.`,
    {
      resource: 'image',
      name: image,
    },
  )
}

export function stopping(image: string): DomainError {
  return new DomainError('unavailable', `The import of ${image} ends because the agent stops; ask again.`, {
    resource: 'image',
    name: image,
  })
}
