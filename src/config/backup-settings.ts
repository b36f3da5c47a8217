import * as z from 'zod'

const hoursOfTenYears = 10 * 366 * 24

/** Copies of the database, beside the objects. */
export const backupSettings = z.strictObject({
  everyHours: z.coerce
    .number()
    .nonnegative()
    .max(hoursOfTenYears)
    .default(24)
    .describe(
      'How often the database is copied into the object store, below backups/, while the registry runs; 0 for never.',
    ),
  keep: z.coerce
    .number()
    .int()
    .nonnegative()
    .max(10_000)
    .default(14)
    .describe(
      'How many backups are kept, the newest ones; 0 for all. An older one goes only when a newer one was read back whole.',
    ),
  keyFile: z
    .string()
    .optional()
    .describe(
      'File with at least 32 random characters, with which backups are encrypted. Keep a copy elsewhere: without it they cannot be read. Without it backups have in clear text what the database has, such as signing keys and password hashes.',
    ),
})
