import * as z from 'zod'
import { flag, positiveInteger } from './kinds.ts'

/** Where everything is kept that is not bytes of blobs. */
export const databaseSettings = z.strictObject({
  url: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'it begins with postgres://')
    .optional()
    .meta({
      description: 'postgres://user:password@host/database; without it, a SQLite file below data.',
      secret: true,
    }),
  urlFile: z.string().optional().describe('File with that URL, so that its password is in no command line.'),
  poolSize: positiveInteger().default(10).describe('Connections to PostgreSQL of one process, at most.'),
  startWaitSeconds: z.coerce
    .number()
    .nonnegative()
    .default(60)
    .describe(
      'How long a server that starts waits for a PostgreSQL that is not there yet; 0 for not at all.',
    ),
  migrate: flag()
    .default(true)
    .describe('Whether a server brings an old schema up to date; false leaves that to varve db migrate.'),
})
