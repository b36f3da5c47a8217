import * as z from 'zod'
import { registryHost } from './credentials-settings.ts'
import { flag, fromJson, webUrl } from './kinds.ts'
import { settingName, uniqueNames } from './named-list.ts'

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

const rule = z
  .strictObject({
    /** Its progress is kept under it. */
    name: settingName,
    events: webUrl('a token in tokenFile'),
    registry: registryHost,
    repositories: z.array(z.string().min(1)).default(['**']),
    tags: z.array(z.string().min(1)).default(['**']),
    platforms: z.array(z.string().min(1)).min(1).optional(),
    pool: z.string().min(1).optional(),
    priority: z.coerce.number().int().min(-1000).max(1000).default(-10),
    credentials: settingName.optional(),
    tokenFile: z.string().min(1).optional(),
    fromBeginning: flag().default(false),
  })
  .refine(({ events, tokenFile }) => {
    if (tokenFile === undefined || !URL.canParse(events)) return true
    const { protocol, hostname } = new URL(events)
    return protocol === 'https:' || loopback.test(hostname)
  }, 'a tokenFile needs https, so that nobody on the way sees the token')

export type PreimportSettings = z.output<typeof rule>

/** Which images are imported as soon as they are pushed, so that the first clone need not wait. */
export const preimportSettings = z
  .preprocess(fromJson, z.array(rule).superRefine(uniqueNames))
  .default([])
  .describe(
    "Images that are imported when they are pushed: name, events (URL of a Varve registry's stream of events), registry (host:port that they are pulled from), repositories and tags (patterns with * and **), platforms (default importer.platform), pool, priority (default -10), credentials (a name of importer.credentials), tokenFile (sent to the stream as a bearer token), fromBeginning. A list; JSON in the environment.",
  )
