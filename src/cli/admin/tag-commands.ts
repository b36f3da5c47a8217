import type { Command } from 'commander'
import type { RestoredTagView, TagChangeView } from '../../registry/admin/history-views.ts'
import { shortDigest } from '../format.ts'
import { printable } from '../printable.ts'
import { tagExpireCommand } from '../retention/expire-command.ts'
import { type AdminFlags, adminCommand } from './options.ts'
import { parseOwnTag } from './own-image.ts'
import { administer, everything, moment, printDone, printListing } from './run.ts'
import { group } from './tenant-commands.ts'

const aTag = 'repository:tag, such as acme/app:v1'

/** `tag`: what tags name, and named before. */
export function tagCommand(): Command {
  const commands = [listCommand(), historyCommand(), restoreCommand(), removeCommand(), tagExpireCommand()]
  return group('tag', 'look at tags and what they named before, and set them back', commands)
}

function listCommand(): Command {
  return adminCommand('list', 'list the tags of a repository with what they name')
    .argument('<repository>')
    .action(async (repository: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'tag.list', { repository }),
          ['TAG', 'DIGEST', 'PUSHED', 'PULLED', 'GOES'],
          ({ tag, digest, pushedAt, pulledAt, expiresAt, isImmutable }) => [
            tag,
            digest,
            moment(pushedAt),
            moment(pulledAt),
            isImmutable ? 'never' : moment(expiresAt),
          ],
          `${printable(repository)} has no tags`,
        ),
      )
    })
}

function historyCommand(): Command {
  return adminCommand('history', 'show what a tag named when, newest first')
    .argument('<tag>', aTag)
    .action(async (text: string, flags: AdminFlags) => {
      const image = parseOwnTag(text)
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'tag.history', image),
          ['WHEN', 'BY', 'WHAT', 'DIGEST', 'BEFORE', 'STILL THERE'],
          change => [
            moment(change.at),
            change.account === null ? '-' : printable(change.account),
            describeCause(change),
            change.digest ?? '-',
            change.previous === null ? '-' : shortDigest(change.previous),
            change.isRestorable ? 'yes' : 'no',
          ],
          `nothing is remembered of ${image.repository}:${image.tag}`,
        ),
      )
    })
}

function restoreCommand(): Command {
  return adminCommand(
    'restore',
    'set a tag to what it named before its last change, even if that was deleted',
  )
    .argument('<tag>', aTag)
    .option('--digest <digest>', 'what it named once, instead: as varve tag history has it')
    .action(async (text: string, { digest, ...flags }: AdminFlags & { readonly digest?: string }) => {
      const image = parseOwnTag(text)
      await administer(flags, async ask => {
        const restored = await ask('tag.restore', { ...image, ...(digest === undefined ? {} : { digest }) })
        printDone(flags, restored, describeRestored(`${image.repository}:${image.tag}`, restored))
      })
    })
}

function removeCommand(): Command {
  return adminCommand('rm', 'delete a tag, which varve tag restore takes back')
    .argument('<tag>', aTag)
    .action(async (text: string, flags: AdminFlags) => {
      const image = parseOwnTag(text)
      await administer(flags, async ask => {
        await ask('tag.delete', image)
        printDone(flags, { removed: image }, `deleted ${image.repository}:${image.tag}`)
      })
    })
}

const causes: Readonly<Record<TagChangeView['cause'], string>> = {
  push: 'pushed',
  delete: 'deleted',
  restore: 'restored',
  expire: 'expired',
  rename: 'moved with its repository',
}

function describeCause({ cause }: TagChangeView): string {
  return causes[cause]
}

function describeRestored(name: string, { digest, previous, wasDeleted }: RestoredTagView): string {
  if (previous === digest) return `${name} is ${digest} already`
  const before = previous === null ? '' : `, no longer ${previous}`
  const back = wasDeleted ? '; the manifest, which was deleted, is back' : ''
  return `${name} is ${digest} again${before}${back}`
}
