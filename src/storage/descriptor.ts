import * as z from 'zod'
import { type Digest, parseDigest } from './digest.ts'
import type { Platform } from './platform.ts'

/** OCI image-spec, descriptor.md. Unknown fields are legal and ignored; the stored bytes keep them. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  readonly urls?: readonly string[] | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  readonly artifactType?: string | undefined
  readonly platform?: Platform | undefined
}

export const digestSchema = z.string().transform((text, context): Digest => {
  try {
    return parseDigest(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    return z.NEVER
  }
})

export const annotationsSchema = z.record(z.string(), z.string())

const platformSchema = z.looseObject({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
})

export const descriptorSchema = z.looseObject({
  mediaType: z.string().min(1),
  digest: digestSchema,
  size: z.int().nonnegative(),
  urls: z.array(z.string()).optional(),
  annotations: annotationsSchema.nullish().transform(value => value ?? undefined),
  artifactType: z.string().optional(),
  platform: platformSchema.optional(),
})
