import { type Command, Option } from 'commander'
import { formatBytes } from '../format.ts'
import { print, printJson } from '../print.ts'
import { type AdminFlags, adminCommand } from './options.ts'
import { administer, everything, moment, printDone, printListing } from './run.ts'
import { group } from './tenant-commands.ts'

interface ForceFlags extends AdminFlags {
  readonly force?: true
}

interface RenameFlags extends ForceFlags {
  readonly public?: true
  readonly private?: true
}

/** `repository`: whole repositories. */
export function repositoryCommand(): Command {
  return group('repository', 'look after whole repositories', [
    listCommand(),
    showCommand(),
    deleteCommand(),
    restoreCommand(),
    purgeCommand(),
    renameCommand(),
  ])
}

function listCommand(): Command {
  return adminCommand('list', 'list the repositories of a tenant; for admins all, without one')
    .argument('[tenant]')
    .option('--deleted', 'those that were deleted and can be taken back, instead')
    .action(async (tenant: string | undefined, { deleted, ...flags }: AdminFlags & { deleted?: true }) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'repository.list', {
            ...(tenant === undefined ? {} : { tenant }),
            ...(deleted === true ? { deleted } : {}),
          }),
          deleted === true ? ['REPOSITORY', 'DELETED', 'GOES'] : ['REPOSITORY', 'SINCE'],
          ({ name, createdAt, deletedAt, goesAt }) =>
            deleted === true ? [name, moment(deletedAt), moment(goesAt)] : [name, moment(createdAt)],
          deleted === true ? 'no repository waits to be taken back' : 'no repositories',
        ),
      )
    })
}

function showCommand(): Command {
  return adminCommand('show', 'show what a repository has, and what of it can be taken back')
    .argument('<repository>')
    .action(async (repository: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('repository.show', { repository })
        if (flags.json === true) return printJson(found)
        const { deletedAt, goesAt, deletedManifests } = found
        print(
          [
            `repository   ${found.name}`,
            `since        ${moment(found.createdAt)}`,
            ...(deletedAt === null ? [] : [`deleted      ${moment(deletedAt)}`]),
            `tags         ${found.tags}`,
            `manifests    ${found.manifests}`,
            `bytes        ${formatBytes(found.bytes)}`,
            `last push    ${moment(found.pushedAt)}`,
            `to restore   ${deletedManifests === 0 ? 'nothing' : `${count(deletedManifests, 'manifest')}, until ${moment(goesAt)}`}`,
          ].join('\n'),
        )
      })
    })
}

function deleteCommand(): Command {
  return adminCommand('delete', 'delete a repository with all its tags and images; `restore` takes it back')
    .argument('<repository>')
    .addOption(forceOption())
    .action(async (repository: string, { force, ...flags }: ForceFlags) => {
      await administer(flags, async ask => {
        const done = await ask('repository.delete', { repository, ...(force === true ? { force } : {}) })
        printDone(
          flags,
          done,
          `deleted ${repository} (${contentsOf(done)}); varve repository restore ${repository} takes it back`,
        )
      })
    })
}

function restoreCommand(): Command {
  return adminCommand('restore', 'take a deleted repository back, with its tags as they were')
    .argument('<repository>')
    .action(async (repository: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const done = await ask('repository.restore', { repository })
        const lost =
          done.lost === 0 ? '' : `; ${count(done.lost, 'manifest')} could not be, as blobs of them are gone`
        printDone(flags, done, `restored ${repository} (${contentsOf(done)})${lost}`)
      })
    })
}

function purgeCommand(): Command {
  return adminCommand('purge', 'let a deleted repository go at once, for good')
    .argument('<repository>')
    .action(async (repository: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('repository.purge', { repository })
        printDone(flags, { purged: repository }, `purged ${repository}`)
      })
    })
}

function renameCommand(): Command {
  return adminCommand('rename', 'give a repository another name, of another tenant, too')
    .argument('<repository>')
    .argument('<name>', 'its whole new name')
    .addOption(new Option('--public', 'everybody may pull it under the new name').conflicts('private'))
    .addOption(new Option('--private', 'only who may see it may pull it under the new name'))
    .addOption(forceOption())
    .action(async (repository: string, name: string, { force, ...flags }: RenameFlags) => {
      const visibility = flags.public === true ? 'public' : flags.private === true ? 'private' : undefined
      await administer(flags, async ask => {
        const done = await ask('repository.rename', {
          repository,
          name,
          ...(visibility === undefined ? {} : { visibility }),
          ...(force === true ? { force } : {}),
        })
        printDone(flags, done, `${repository} is now ${name} (${contentsOf(done)})`)
      })
    })
}

const forceOption = () => new Option('--force', 'also immutable tags; for admins')

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

function contentsOf({ tags, manifests }: { readonly tags: number; readonly manifests: number }): string {
  return `${count(tags, 'tag')}, ${count(manifests, 'manifest')}`
}
