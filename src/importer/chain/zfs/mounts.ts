import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { DatasetName } from './dataset-names.ts'
import { listingArgs, parseListing } from './properties.ts'
import type { ZfsCommand } from './zfs-command.ts'
import type { Subject } from './zfs-errors.ts'

/** Mounts what is not mounted yet and answers the directory. */
export async function mount(
  zfs: ZfsCommand,
  dataset: DatasetName,
  subject: Subject,
  options: Abortable = {},
): Promise<string> {
  try {
    await zfs.change(subject, ['mount', dataset], options)
  } catch (error) {
    if (!isDomainError(error, 'already_exists')) throw error
  }
  return mountpointOf(zfs, dataset, subject, options)
}

/** What is not mounted, or gone, needs no unmounting. */
export async function unmount(zfs: ZfsCommand, dataset: DatasetName, subject: Subject): Promise<void> {
  try {
    await zfs.change(subject, ['unmount', dataset])
  } catch (error) {
    if (!isDomainError(error, 'not_found')) throw error
  }
}

/**
 * Asked of ZFS every time: to write into a directory where the dataset only used to be mounted would be lost.
 */
async function mountpointOf(
  zfs: ZfsCommand,
  dataset: DatasetName,
  subject: Subject,
  options: Abortable,
): Promise<string> {
  const args = [...listingArgs(['mountpoint', 'mounted']), dataset]
  const [listed] = parseListing(await zfs.read(subject, args, options))
  const mountpoint = listed?.get('mountpoint')
  if (listed?.get('mounted') === 'yes' && mountpoint?.startsWith('/')) return mountpoint
  throw new DomainError(
    'conflict',
    `${dataset} is not mounted at a directory of its own; give it one with zfs set mountpoint=….`,
    subject,
  )
}
