import * as z from 'zod'
import { count, named } from './common.ts'

const warning = z.strictObject({
  code: z.string(),
  count,
  examples: z.array(z.string()).describe('The first one or few.'),
})

const notes = {
  whiteouts: count,
  skippedDevices: count,
  skippedFifos: count,
  droppedXattrs: count,
  directoryXattrs: z
    .literal('none')
    .optional()
    .describe(
      'No directory of the tree has ACLs or other extended attributes that layers may set. Absent: not known.',
    ),
  warnings: z.array(warning),
}

/** What applying a layer did besides its entries and bytes. */
export const layerNotes = named('LayerNotes', z.strictObject(notes))

export const layerReport = named(
  'LayerReport',
  z.strictObject({ entries: count, bytes: count.describe('Of file content.'), ...notes }),
)
