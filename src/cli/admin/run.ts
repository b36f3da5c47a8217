import type {
  AdminInput,
  Administration,
  AdminOperation,
  AdminOutput,
} from '../../registry/admin/administration.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { formatTable } from '../format.ts'
import { configOf } from '../options.ts'
import { print, printJson } from '../print.ts'
import { abortOnSignals } from '../signals.ts'
import type { AdminFlags } from './options.ts'

/** Asks for one operation. */
export type Ask = <Name extends AdminOperation>(
  operation: Name,
  input: AdminInput<Name>,
) => Promise<AdminOutput<Name>>

/** Opens administration as the flags say, and closes it after the work. */
export async function administer(flags: AdminFlags, work: (ask: Ask) => Promise<void>): Promise<void> {
  const { signal } = abortOnSignals()
  const { config } = configOf(flags)
  const { openAdministration } = await import('./open-administration.ts')
  await using opened = await openAdministration(config, flags)
  await work(askOf(opened.administration, { signal }))
}

function askOf(administration: Administration, options: Abortable): Ask {
  return async (operation, input) => await administration.call(operation, input, options)
}

/** The operations that answer pages. */
type PagedOperation = {
  readonly [Name in AdminOperation]: AdminInput<Name> extends { last?: string } ? Name : never
}[AdminOperation]

type EntryOf<Name extends AdminOperation> =
  AdminOutput<Name> extends { items: (infer Entry)[] } ? Entry : never

/** All entries of a listing, page after page. @param limit of entries. */
export async function everything<Name extends PagedOperation>(
  ask: Ask,
  operation: Name,
  input: AdminInput<Name>,
  limit: number = Number.POSITIVE_INFINITY,
): Promise<EntryOf<Name>[]> {
  const found: EntryOf<Name>[] = []
  for (let last: string | undefined; ; ) {
    const n = Math.min(1000, limit - found.length)
    const page = (await ask(operation, {
      ...input,
      n,
      ...(last === undefined ? {} : { last }),
    })) as unknown as { readonly items: readonly EntryOf<Name>[]; readonly next: string | null }
    found.push(...page.items)
    if (page.next === null || found.length >= limit) return found
    last = page.next
  }
}

/** A listing, for people or for programs. */
export function printListing<Entry>(
  { json }: AdminFlags,
  entries: readonly Entry[],
  headings: readonly string[],
  row: (entry: Entry) => readonly string[],
  none: string,
): void {
  if (json === true) printJson(entries)
  else if (entries.length === 0) print(none)
  else print(formatTable(headings, entries.map(row)))
}

/** What was done, for people or for programs. */
export function printDone({ json }: AdminFlags, value: unknown, sentence: string): void {
  if (json === true) printJson(value)
  else print(sentence)
}

/** `2030-01-01 12:00`, in UTC; `-` for never. */
export function moment(text: string | null): string {
  return text === null ? '-' : text.slice(0, 16).replace('T', ' ')
}
