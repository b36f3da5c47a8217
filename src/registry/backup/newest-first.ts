import type { BackupRecord } from '../../storage/backups/backup-record.ts'
import { isFarAhead } from '../is-passed.ts'

/**
 * The backups as they were made, newest first. Those whose time is in the future come last: the clock was wrong, and they are
 * older than whatever was made since. @param now milliseconds since 1970.
 */
export function newestFirst<Made extends Pick<BackupRecord, 'madeAt'>>(
  backups: readonly Made[],
  now: number,
): Made[] {
  const isWrong = ({ madeAt }: Made): boolean => isFarAhead(madeAt, now)
  // IDs have whole seconds.
  const sorted = backups.toSorted((one, other) => other.madeAt.getTime() - one.madeAt.getTime())
  return [...sorted.filter(each => !isWrong(each)), ...sorted.filter(isWrong)]
}
