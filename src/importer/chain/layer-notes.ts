import * as z from 'zod'
import type { LayerWarning, LayerWarningCode } from '../layer/apply-layer.ts'
import type { LayerNotes } from './chain-store.ts'

const count = z.int().nonnegative().default(0)

/** Any text: a later version may have more codes, and what it wrote stays readable. */
const code = z.custom<LayerWarningCode>(value => typeof value === 'string')

/** What is 0 or empty may be left out. */
export const notesSchema = z.object({
  whiteouts: count,
  skippedDevices: count,
  skippedFifos: count,
  droppedXattrs: count,
  // Absent means not known, and so does what a later version may say.
  directoryXattrs: z.literal('none').optional().catch(undefined),
  warnings: z.array(z.object({ code, count, examples: z.array(z.string()).default([]) })).default([]),
}) satisfies z.ZodType<LayerNotes>

/** Characters of an example that is shortened. */
const shortExample = 40

/**
 * JSON of at most `maxBytes`. Counts are always kept; of the warnings' examples the later ones go first, then those that
 * are left are shortened, then they go too, and at last warnings from the end.
 */
export function formatNotes(notes: LayerNotes, maxBytes: number): string {
  for (const warnings of shorterAndShorter(notes.warnings)) {
    const text = JSON.stringify({ ...notes, warnings }, leaveOutEmpty)
    if (Buffer.byteLength(text) <= maxBytes) return text
  }
  return '{}'
}

/** Reads {@link formatNotes}; `undefined` for anything else. */
export function parseNotes(text: string): LayerNotes | undefined {
  try {
    return notesSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function* shorterAndShorter(warnings: readonly LayerWarning[]): Generator<readonly LayerWarning[]> {
  const withExamples = (change: (examples: readonly string[]) => readonly string[]) =>
    warnings.map(warning => ({ ...warning, examples: change(warning.examples) }))
  yield warnings
  yield withExamples(examples => examples.slice(0, 1))
  yield withExamples(examples => examples.slice(0, 1).map(shorten))
  const bare = withExamples(() => [])
  for (let kept = bare.length; kept >= 0; kept -= 1) yield bare.slice(0, kept)
}

function shorten(example: string): string {
  if (example.length <= shortExample) return example
  // Half of a pair of surrogates would come back as something else.
  return `${example.slice(0, shortExample).toWellFormed()}…`
}

function leaveOutEmpty(_name: string, value: unknown): unknown {
  return value === 0 || (Array.isArray(value) && value.length === 0) ? undefined : value
}
