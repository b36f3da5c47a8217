import * as z from 'zod'

/** What identifies an entry of a list, in files and messages. */
export const settingName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'up to 64 letters, digits, dots, underscores and hyphens')

/** For `superRefine` of a list. */
export function uniqueNames(entries: readonly { readonly name: string }[], context: z.RefinementCtx): void {
  const names = entries.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) context.addIssue({ code: 'custom', message: `there are two of the name ${twice}` })
}
