import { DomainError } from '../../errors.ts'

export function broken(why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The backup cannot be used: ${why}; choose another one.`,
    { resource: 'backup' },
    { cause },
  )
}
