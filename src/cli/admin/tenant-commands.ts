import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { DomainError, errnoOf } from '../../errors.ts'
import { roles } from '../../storage/accounts/roles.ts'
import { formatBytes } from '../format.ts'
import { print, printJson } from '../print.ts'
import { printable } from '../printable.ts'
import {
  type AdminFlags,
  adminCommand,
  descriptionOption,
  orNull,
  parseLimit,
  parseQuota,
  visibilityOption,
} from './options.ts'
import { administer, everything, moment, printDone, printListing } from './run.ts'

interface TenantFlags extends AdminFlags {
  readonly visibility?: 'private' | 'public'
  readonly quota?: number | 'none'
  readonly maxRepositories?: number | 'none'
  readonly description?: string
  readonly trustPolicy?: string
}

/** `tenant`: who shares the registry. */
export function tenantCommand(): Command {
  const create = withSettings(adminCommand('create', 'make a tenant'))
    .argument('<tenant>', 'first part of the names of its repositories')
    .action(async (name: string, flags: TenantFlags) => {
      const settings = await settingsOf(flags)
      await administer(flags, async ask =>
        printDone(flags, await ask('tenant.create', { name, ...settings }), `made tenant ${name}`),
      )
    })
  const list = adminCommand('list', 'list tenants').action(async (flags: AdminFlags) => {
    await administer(flags, async ask =>
      printListing(
        flags,
        await everything(ask, 'tenant.list', {}),
        ['TENANT', 'VISIBILITY', 'QUOTA', 'REPOSITORIES', 'DESCRIPTION'],
        ({ name, visibility, quotaBytes, quotaRepositories, description }) => [
          name,
          visibility,
          quotaBytes === null ? '-' : formatBytes(quotaBytes),
          quotaRepositories === null ? '-' : String(quotaRepositories),
          description,
        ],
        'no tenants; varve tenant create makes the first',
      ),
    )
  })
  const show = adminCommand('show', 'show a tenant and what it uses')
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const [about, usage] = [await ask('tenant.get', { tenant }), await ask('usage.get', { tenant })]
        if (flags.json === true) return printJson({ ...about, usage })
        const { visibility, description, trustPolicy, createdAt } = about
        const limit = (text: string | null) => (text === null ? '' : ` of ${text}`)
        const { quotaBytes, quotaRepositories } = usage
        print(
          [
            `tenant        ${about.name}`,
            `description   ${printable(description)}`,
            `visibility    ${visibility}`,
            `uses          ${formatBytes(usage.bytes)}${limit(quotaBytes === null ? null : formatBytes(quotaBytes))}`,
            `repositories  ${usage.repositories}${limit(quotaRepositories === null ? null : String(quotaRepositories))}`,
            `trust policy  ${trustPolicy === null ? 'none' : printable(trustPolicy)}`,
            `made          ${moment(createdAt)}`,
          ].join('\n'),
        )
      })
    })
  const set = withSettings(adminCommand('set', 'change a tenant'))
    .argument('<tenant>')
    .action(async (tenant: string, flags: TenantFlags) => {
      const settings = await settingsOf(flags)
      await administer(flags, async ask =>
        printDone(flags, await ask('tenant.update', { tenant, ...settings }), `changed tenant ${tenant}`),
      )
    })
  const rm = adminCommand('rm', 'delete a tenant without repositories, with its members, grants and robots')
    .argument('<tenant>')
    .option('--purge', 'with repositories that were deleted and could be taken back')
    .action(async (tenant: string, { purge, ...flags }: AdminFlags & { readonly purge?: true }) => {
      await administer(flags, async ask => {
        await ask('tenant.delete', { tenant, ...(purge === true ? { purge } : {}) })
        printDone(flags, { deleted: tenant }, `deleted tenant ${tenant}`)
      })
    })
  return group('tenant', 'look after tenants, who share the registry', [create, list, show, set, rm])
}

/** `member`: who belongs to a tenant. */
export function memberCommand(): Command {
  const set = adminCommand('set', 'make an account a member of a tenant, or change its role')
    .argument('<tenant>')
    .argument('<account>')
    .addOption(
      new Option('--role <role>', 'guest pulls, developer pushes, maintainer deletes, owner manages')
        .choices(roles)
        .makeOptionMandatory(),
    )
    .action(async (tenant: string, account: string, flags: AdminFlags & { role: (typeof roles)[number] }) => {
      const { role } = flags
      await administer(flags, async ask => {
        await ask('member.set', { tenant, account, role })
        printDone(flags, { tenant, account, role }, `${account} is now ${role} of ${tenant}`)
      })
    })
  const list = adminCommand('list', 'list the members of a tenant')
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'member.list', { tenant }),
          ['ACCOUNT', 'ROLE', 'SINCE'],
          ({ account, role, since }) => [account, role, moment(since)],
          `${tenant} has no members`,
        ),
      )
    })
  const rm = adminCommand('rm', 'end a membership')
    .argument('<tenant>')
    .argument('<account>')
    .action(async (tenant: string, account: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        await ask('member.remove', { tenant, account })
        printDone(flags, { tenant, account }, `${account} is no member of ${tenant} any more`)
      })
    })
  return group('member', 'look after who belongs to a tenant', [set, list, rm])
}

export function group(name: string, summary: string, commands: readonly Command[]): Command {
  const parent = new Command(name).description(summary)
  for (const command of commands) parent.addCommand(command)
  return parent
}

function withSettings(command: Command): Command {
  return command
    .addOption(visibilityOption())
    .addOption(
      new Option(
        '--quota <size>',
        'bytes that its repositories may take, such as 50G; none for no limit',
      ).argParser(parseQuota),
    )
    .addOption(
      new Option('--max-repositories <count>', 'repositories that it may have; none for no limit').argParser(
        parseLimit,
      ),
    )
    .addOption(descriptionOption())
    .option('--trust-policy <file>', 'JSON file: which signatures images must have; none to lift it')
}

async function settingsOf({
  visibility,
  quota,
  maxRepositories,
  description,
  trustPolicy,
}: TenantFlags): Promise<{
  visibility?: 'private' | 'public'
  quotaBytes?: number | null
  quotaRepositories?: number | null
  description?: string
  trustPolicy?: string | null
}> {
  return {
    ...(visibility === undefined ? {} : { visibility }),
    ...(quota === undefined ? {} : { quotaBytes: orNull(quota) }),
    ...(maxRepositories === undefined ? {} : { quotaRepositories: orNull(maxRepositories) }),
    ...(description === undefined ? {} : { description }),
    ...(trustPolicy === undefined
      ? {}
      : { trustPolicy: trustPolicy === 'none' ? null : await contentOf(trustPolicy) }),
  }
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new DomainError(
      'invalid',
      `The file ${file} cannot be read (${errnoOf(cause) ?? 'no reason given'}).`,
      { resource: 'config', name: file },
      { cause },
    )
  }
}
