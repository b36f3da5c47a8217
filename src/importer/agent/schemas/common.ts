import * as z from 'zod'

/** Schemas that have a name in the OpenAPI document; all others stand where they are used. */
export const components = z.registry<{ readonly id: string }>()

/** Gives a schema its name in the OpenAPI document. */
export function named<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  components.add(schema, { id })
  return schema
}

/** `sha256:…` or `sha512:…`; also of chain IDs and diff IDs. */
export const digest = z.string().regex(/^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/)
export const time = z.iso.datetime()
/** Bytes, entries and other things that are counted. */
export const count = z.int().nonnegative()
export const milliseconds = z.number().nonnegative()

/** Characters; names of images that registries take are shorter. */
const maxImageName = 1024

/** In requests: the image as a person writes it, or the beginning of a digest where that is said. */
export const imageName = z
  .string()
  .min(1)
  .max(maxImageName)
  .describe('[registry/]repository[:tag][@digest]; of an imported image also the first digits of its digest.')

export const platform = z
  .string()
  .max(128)
  .describe('os/architecture[/variant]; linux/amd64 unless given.')
  .optional()
export const priority = z
  .int()
  .min(-1000)
  .max(1000)
  .describe('Imports of a higher one start first; 0 unless given.')
  .optional()
export const credentials = z
  .string()
  .min(1)
  .max(128)
  .describe("Name of configured credentials; without it, those that fit the image's registry, if any.")
  .optional()
export const waitSeconds = (unlessGiven: number) =>
  z
    .number()
    .min(0)
    .max(3600)
    .describe(`How long to wait for an import; ${unlessGiven} unless given.`)
    .optional()

/** The query of what is asked of one pool. */
export const pooled = {
  pool: z
    .string()
    .min(1)
    .max(256)
    .describe('Name of the pool, as GET /v1 lists it; the default one unless given.')
    .optional(),
}
export const poolQuery = z.strictObject(pooled)
export const noQuery = z.strictObject({})
/** For requests that say all in their path and query. */
export const noBody = z.strictObject({})

/** What a failed request is answered with, and what stands for a part that has failed. */
export const failure = named(
  'Failure',
  z.strictObject({
    code: z.string().describe('Stable; what the caller can do depends on it.'),
    message: z.string().describe('One sentence for people, with the way out where there is one.'),
    details: z.looseObject({ resource: z.string(), name: z.string().optional() }).optional(),
  }),
)
export const failed = named('Failed', z.strictObject({ error: failure }))

/** What has been done needs no further word. */
export const done = named('Done', z.strictObject({}))
