import * as z from 'zod'
import { fromJson } from './kinds.ts'
import { settingName, uniqueNames } from './named-list.ts'

/**
 * `host[:port]`, as image names have it: there a word without a dot and without a port is the first part of a repository
 * of Docker Hub, which anybody may own.
 */
export const registryHost = z
  .string()
  .regex(
    /^[A-Za-z0-9.-]+(?::\d{1,5})?$|^\[[0-9a-fA-F:]+\](?::\d{1,5})?$/,
    'host or host:port, without https://',
  )
  .refine(
    host => host === 'localhost' || /[.:]/.test(host),
    'a name without a dot needs its port, or images take it for a part of Docker Hub',
  )

const credential = z
  .strictObject({
    name: settingName,
    registry: registryHost.default('docker.io'),
    /** Names, in which `*` is any part of a segment and `**` any part at all. */
    repositories: z.array(z.string().min(1)).default(['**']),
    /** A header has a colon after it. */
    username: z
      .string()
      .regex(/^[^:\p{Cc}]+$/u, 'no colon, and no control characters')
      .optional(),
    passwordFile: z.string().min(1).optional(),
    identityTokenFile: z.string().min(1).optional(),
  })
  .refine(
    ({ username, passwordFile, identityTokenFile }) =>
      identityTokenFile === undefined
        ? username !== undefined && passwordFile !== undefined
        : passwordFile === undefined,
    'give username and passwordFile, or identityTokenFile',
  )

export type CredentialSettings = z.output<typeof credential>

/**
 * Whom other registries know. Secrets are in files, which are read when they are used.
 * @param who may name them, as the beginning of a sentence.
 */
export const credentialsOf = (who: string) =>
  z
    .preprocess(fromJson, z.array(credential).superRefine(uniqueNames))
    .default([])
    .describe(
      `Credentials for registries: name, registry (host:port, default docker.io), repositories (patterns with * and **), username and passwordFile, or identityTokenFile. ${who}; else the first whose registry and repositories fit. A list; JSON in the environment.`,
    )

export const credentialsSettings = credentialsOf('An import may name them')
