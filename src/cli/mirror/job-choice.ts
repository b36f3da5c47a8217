import { DomainError } from '../../errors.ts'
import type { JobChoice } from './open-mirror.ts'

/** @throws DomainError `invalid` for neither, and for both. */
export function jobChoice(name: string | undefined, file: string | undefined): JobChoice {
  if ((name === undefined) !== (file === undefined)) return { name, file }
  throw new DomainError(
    'invalid',
    name === undefined
      ? 'Name a mirror job (varve mirror list), or a file that has one with --file.'
      : 'Give the name of a mirror job or --file, not both.',
    { resource: 'config', name: '--file' },
  )
}
