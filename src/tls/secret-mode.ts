import { DomainError } from '../errors.ts'

/**
 * A file that holds a secret, and that any user of this machine can read, keeps none.
 * @throws DomainError `invalid`.
 */
export function refuseOpenToOthers(path: string, mode: number): void {
  if ((mode & 0o007) === 0) return
  throw new DomainError(
    'invalid',
    `Everybody on this machine may read ${path}, which holds a secret; close it with chmod o= ${path}.`,
    { resource: 'config', name: path },
  )
}
