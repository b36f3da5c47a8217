import type { FileAttributes, NewFile } from './new-file.ts'
import type { Place } from './root-tree.ts'

/**
 * Finishes files that have just been made, elsewhere and a little later: content, owner, mode, time, in that order. It
 * knows a file by its descriptor alone, so nothing that happens to names meanwhile can lead it elsewhere; and until
 * {@link settle} nobody may rely on more of a file than that it is there.
 */
export interface FileFinisher {
  /**
   * Takes a file over, to be closed too. What it needs of `content` is copied.
   * @param place where the file was made, for messages.
   * @returns false when it does not take this one, or none at the moment: the caller finishes it then.
   * @throws what a file that was taken before has failed with, as a DomainError where it is the host's fault; the caller
   * finishes nothing more then, and closes this one itself.
   */
  take(file: NewFile, content: Uint8Array, attributes: FileAttributes, place: Place): boolean
  /** Waits until all that were taken are finished and closed. @throws as {@link take} does. */
  settle(): void
  /** After a failure: what was taken is closed, and nothing writes to it any more. Forgets what has failed. */
  abandon(): void
}
