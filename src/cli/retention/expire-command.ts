import { type Command, InvalidArgumentError, Option } from 'commander'
import { DomainError } from '../../errors.ts'
import { durationMs } from '../../retention-policy.ts'
import { type AdminFlags, adminCommand } from '../admin/options.ts'
import { parseOwnTag } from '../admin/own-image.ts'
import { administer, moment, printDone } from '../admin/run.ts'

interface ExpireFlags extends AdminFlags {
  readonly after?: Date
  readonly at?: Date
  readonly never?: true
}

/** `tag expire`: when a tag goes by itself. */
export function tagExpireCommand(): Command {
  return adminCommand('expire', 'say when a tag goes by itself; it counts until the next push of the tag')
    .argument('<tag>', 'repository:tag, such as acme/app:v1')
    .addOption(
      new Option('--after <time>', 'a time from now, such as 3d')
        .argParser(parseAfter)
        .conflicts(['at', 'never']),
    )
    .addOption(
      new Option('--at <moment>', 'such as 2030-01-01T00:00:00Z').argParser(parseAt).conflicts('never'),
    )
    .option('--never', 'it does not, whatever a label of the image says')
    .action(async (text: string, flags: ExpireFlags) => {
      const { repository, tag } = parseOwnTag(text)
      const at = flags.after ?? flags.at
      if (at === undefined && flags.never !== true)
        throw new DomainError('invalid', 'Say --after TIME, --at MOMENT or --never.', { resource: 'config' })
      await administer(flags, async ask => {
        const expiresAt = at?.toISOString() ?? null
        const done = await ask('tag.expire', { repository, tag, expiresAt })
        const when = expiresAt === null ? 'does not go by itself' : `goes at ${moment(expiresAt)}`
        printDone(flags, done, `${repository}:${tag} ${when}`)
      })
    })
}

function parseAfter(text: string): Date {
  const ms = durationMs(text)
  if (ms === undefined) throw new InvalidArgumentError('Write a time such as 90m, 12h, 30d or 4w.')
  return new Date(Date.now() + ms)
}

function parseAt(text: string): Date {
  const moment = new Date(text)
  if (/^\d{4}-/.test(text) && !Number.isNaN(moment.getTime())) return moment
  throw new InvalidArgumentError('Write a moment such as 2030-01-01T00:00:00Z.')
}
