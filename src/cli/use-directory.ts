import { DomainError, errnoOf } from '../errors.ts'
import { makeDirectories } from '../storage/make-directories.ts'

/**
 * Sees to it that a directory is there.
 * @param flag with which another one can be chosen.
 * @throws DomainError `invalid`.
 */
export async function useDirectory(path: string, flag: string): Promise<void> {
  try {
    await makeDirectories(path)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    throw new DomainError(
      'invalid',
      `The directory ${path} is not there and cannot be made (${errno}); choose another one with ${flag}.`,
      { resource: 'config', name: path },
      { cause: error },
    )
  }
}
