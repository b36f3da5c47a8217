import type { Command } from 'commander'
import { formatBytes } from '../format.ts'
import { printable } from '../printable.ts'
import { type AdminFlags, adminCommand } from './options.ts'
import { parseOwnManifest } from './own-image.ts'
import { administer, everything, moment, printDone, printListing } from './run.ts'
import { group } from './tenant-commands.ts'

const aManifest = 'repository@digest, such as acme/app@sha256:…'

/** `manifest`: what was deleted and can be taken back. */
export function manifestCommand(): Command {
  const deleted = adminCommand('deleted', 'list what was deleted and can be taken back, newest first')
    .argument('<repository>')
    .action(async (repository: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'manifest.deleted', { repository }),
          ['DIGEST', 'DELETED', 'BY', 'GOES', 'SIZE', 'TAGS'],
          each => [
            each.digest,
            moment(each.deletedAt),
            each.deletedBy === null ? '-' : printable(each.deletedBy),
            each.isRestorable ? moment(each.goesAt) : 'not whole',
            formatBytes(each.size),
            each.tags.join(' ') || '-',
          ],
          `${printable(repository)} has nothing that could be taken back`,
        ),
      )
    })
  const restore = adminCommand('restore', 'bring a deleted manifest back, without tags')
    .argument('<manifest>', aManifest)
    .action(async (text: string, flags: AdminFlags) => {
      const image = parseOwnManifest(text)
      await administer(flags, async ask => {
        await ask('manifest.restore', image)
        printDone(flags, { restored: image }, `${image.repository}@${image.digest} is back`)
      })
    })
  const purge = adminCommand('purge', 'let a deleted manifest go at once, with what only it names')
    .argument('<manifest>', aManifest)
    .action(async (text: string, flags: AdminFlags) => {
      const image = parseOwnManifest(text)
      await administer(flags, async ask => {
        await ask('manifest.purge', image)
        printDone(flags, { purged: image }, `${image.repository}@${image.digest} is gone`)
      })
    })
  return group('manifest', 'look after what was deleted and can be taken back', [deleted, restore, purge])
}
