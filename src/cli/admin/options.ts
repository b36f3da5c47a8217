import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration, parseSize } from '../amounts.ts'
import { type CommonFlags, commandWithConfig } from '../options.ts'

/** Flags of every command that administers. */
export interface AdminFlags extends CommonFlags {
  readonly registry?: string
  readonly tokenFile?: string
  readonly caFile?: string
  readonly json?: true
}

const remoteHelp = `
It works on the registry's own database, as the user that the registry runs as; or, with --registry, over
HTTP, with the API token in --token-file, or what the configuration has for that registry
(importer.credentials, importer.dockerConfigFile).`

/** A command that works on this machine's registry, or on one elsewhere. */
export function adminCommand(name: string, summary: string): Command {
  return commandWithConfig(name, summary)
    .option('--registry <url>', 'administer the registry at this URL, such as https://registry.example.com')
    .option('--token-file <file>', 'file with an API token (vrv_…), for --registry')
    .option('--ca-file <file>', 'PEM file with the authorities that sign for that registry')
    .option('--json', 'print JSON')
    .addHelpText('after', remoteHelp)
}

export const passwordFileOption = () =>
  new Option('--password-file <file>', 'file whose first line is the password; - for standard input')
export const descriptionOption = () => new Option('--description <text>', 'a line of text for people')
export const expiresOption = () =>
  new Option(
    '--expires <when>',
    'when it ends: a time from now such as 90d, a moment such as 2030-01-01T00:00:00Z, or never',
  ).argParser(parseExpiry)
export const actionsOption = () =>
  new Option('--actions <list>', 'pull, push, delete; comma-separated').argParser(parseActions)
export const visibilityOption = () =>
  new Option('--visibility <visibility>', 'who may pull without being a member').choices([
    'private',
    'public',
  ])

/** An RFC 3339 moment, or `never`: commander would take null for an empty text. */
export function parseExpiry(text: string): string {
  if (text === 'never') return text
  const seconds = parseDuration(text)
  if (typeof seconds === 'number') return new Date(Date.now() + seconds * 1000).toISOString()
  const moment = new Date(text)
  if (/^\d{4}-/.test(text) && !Number.isNaN(moment.getTime())) return moment.toISOString()
  throw new InvalidArgumentError('Write 90d, a moment such as 2030-01-01T00:00:00Z, or never.')
}

export function parseActions(text: string): ('pull' | 'push' | 'delete')[] {
  return text.split(',').map(word => {
    const action = word.trim()
    if (action === 'pull' || action === 'push' || action === 'delete') return action
    throw new InvalidArgumentError('Write pull, push, delete, or several with commas between them.')
  })
}

/** What is no limit, and no end, is null in the interface. */
export function orNull<Value>(value: Value | 'none' | 'never'): Value | null {
  return value === 'none' || value === 'never' ? null : value
}

/** Bytes, or `none` for no limit. */
export function parseQuota(text: string): number | 'none' {
  if (text === 'none') return text
  const size = parseSize(text)
  if (typeof size === 'number') return size
  throw new InvalidArgumentError(`${size} Or none for no limit.`)
}

/** A number, or `none` for no limit. */
export function parseLimit(text: string): number | 'none' {
  if (text === 'none') return text
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number, or none for no limit.')
}

/** `yes` or `no`. */
export function parseYes(text: string): boolean {
  if (text === 'yes' || text === 'no') return text === 'yes'
  throw new InvalidArgumentError('Write yes or no.')
}
