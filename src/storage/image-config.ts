import * as z from 'zod'
import { DomainError } from '../errors.ts'
import { type DiffId, parseDiffId } from './digest.ts'
import type { Platform } from './platform.ts'

/**
 * OCI image-spec, config.md. Only what Varve acts on is named; all else is data of a stranger, kept in the
 * bytes and handed on untouched.
 */
export interface ImageConfig extends Platform {
  /** Base first. */
  readonly diffIds: readonly DiffId[]
  readonly created?: string | undefined
  readonly process: ProcessConfig
}

/** The `config` member: what to run. Docker's capitalised names are kept, as the spec does. */
export interface ProcessConfig {
  readonly Entrypoint?: readonly string[] | undefined
  readonly Cmd?: readonly string[] | undefined
  readonly Env?: readonly string[] | undefined
  readonly WorkingDir?: string | undefined
  readonly User?: string | undefined
}

const orAbsent = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform(value => value ?? undefined)

const schema = z.looseObject({
  os: z.string(),
  architecture: z.string(),
  variant: orAbsent(z.string()),
  created: orAbsent(z.string()),
  rootfs: z.looseObject({ type: z.literal('layers'), diff_ids: z.array(z.string()) }),
  config: orAbsent(
    z.looseObject({
      Entrypoint: orAbsent(z.array(z.string())),
      Cmd: orAbsent(z.array(z.string())),
      Env: orAbsent(z.array(z.string())),
      WorkingDir: orAbsent(z.string()),
      User: orAbsent(z.string()),
    }),
  ),
})

/** @throws DomainError `invalid` when the bytes are not the config of a container image. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw invalidConfig('it is not JSON', cause)
  }
  const result = schema.safeParse(json)
  if (!result.success) {
    const [issue] = result.error.issues
    throw invalidConfig(`${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'invalid'}`)
  }
  const { os, architecture, variant, created, rootfs, config } = result.data
  const { Entrypoint, Cmd, Env, WorkingDir, User } = config ?? {}
  return {
    os,
    architecture,
    variant,
    created,
    diffIds: rootfs.diff_ids.map(parseDiffId),
    process: { Entrypoint, Cmd, Env, WorkingDir, User },
  }
}

function invalidConfig(why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The image config is not that of a container image: ${why}.`,
    { resource: 'image' },
    { cause },
  )
}
