import type { KeyObject, X509Certificate } from 'node:crypto'
import * as z from 'zod'
import { DomainError } from '../../errors.ts'
import type { TenantName } from '../../storage/accounts/names.ts'
import { type Digest, digestOf } from '../../storage/digest.ts'
import { type NamePattern, namePattern } from '../../storage/name-pattern.ts'
import { parseAnchors } from './anchors.ts'
import { parsePublicKey } from './public-keys.ts'
import { parseSigstoreRoot, type SigstoreRoot } from './sigstore-root.ts'
import { parseSubjectPattern, type SubjectPattern } from './subject-pattern.ts'

/** A tenant's: an image has to satisfy each of its policies that fits the name of the image's repository. */
export interface TrustPolicies {
  /** Of the text. */
  readonly digest: Digest
  readonly policies: readonly TrustPolicy[]
}

/** Which signatures make an image trusted. */
export interface TrustPolicy {
  /** For people. */
  readonly name: string
  /** For the whole name of a repository, which begins with the tenant's. */
  readonly images: readonly NamePattern[]
  /**
   * `readers`: whoever may not push to the repository; who pushes and signs has to read what is not signed yet.
   * `everybody`: those too, and administrators.
   */
  readonly appliesTo: 'readers' | 'everybody'
  /** Whether an image that is not trusted is refused, or only comes with a warning. */
  readonly mode: 'enforce' | 'warn'
  /** One of them is enough. */
  readonly require: readonly Requirement[]
}

export type Requirement =
  /** cosign with a key. */
  | {
      readonly kind: 'keys'
      readonly keys: readonly KeyObject[]
      /** One of its logs has to know the signature; undefined: none need. */
      readonly root: SigstoreRoot | undefined
    }
  /** cosign with a certificate that was given out for a login, and has long expired. */
  | {
      readonly kind: 'keyless'
      readonly root: SigstoreRoot
      readonly identities: readonly KeylessIdentity[]
    }
  | {
      readonly kind: 'notation'
      readonly anchors: readonly X509Certificate[]
      readonly subjects: readonly SubjectPattern[]
    }

export interface KeylessIdentity {
  /** Compared exactly. */
  readonly issuer: string
  /** For the certificate's alternative name: an e-mail address, or a workflow's URL. */
  readonly subject: NamePattern
}

/** Characters. */
const maxText = 64 * 1024
const maxPatternText = 512

const pattern = z.string().min(1).max(maxPatternText)
const oneOrMore = z
  .union([pattern, z.array(pattern).min(1).max(32)])
  .transform(value => (typeof value === 'string' ? [value] : value))
const pem = z.string().max(16 * 1024)
const root = z.looseObject({})

const cosignKeys = z.strictObject({ keys: z.array(pem).min(1).max(16), trustedRoot: root.optional() })
const cosignKeyless = z.strictObject({
  keyless: z.strictObject({
    trustedRoot: root,
    identities: z
      .array(z.strictObject({ issuer: z.string().min(1).max(maxPatternText), subject: pattern }))
      .min(1)
      .max(32),
  }),
})
const requirementSchema = z.union([
  z.strictObject({ cosign: z.union([cosignKeys, cosignKeyless]) }),
  z.strictObject({
    notation: z.strictObject({
      certificates: z.array(pem).min(1).max(16),
      subjects: z.array(pattern).min(1).max(32),
    }),
  }),
])
const policySchema = z.strictObject({
  name: z.string().min(1).max(128).optional(),
  images: oneOrMore,
  appliesTo: z.enum(['readers', 'everybody']).default('readers'),
  mode: z.enum(['enforce', 'warn']).default('enforce'),
  require: z.array(requirementSchema).min(1).max(8),
})
const documentSchema = z.union([policySchema, z.array(policySchema).min(1).max(16)])

/**
 * The JSON of `Tenant.trustPolicy`: one policy, or a list of them.
 * @param tenant whose it is, so that a pattern that fits none of its repositories is found.
 * @throws DomainError `invalid`.
 */
export function parseTrustPolicies(text: string, tenant?: TenantName): TrustPolicies {
  const documents = [documentOf(text)].flat()
  for (const { images } of documents)
    for (const one of images) if (tenant !== undefined && !canFit(one, tenant)) throw foreign(one, tenant)
  return { digest: digestOf(Buffer.from(text)), policies: documents.map(policyOf) }
}

function documentOf(text: string): z.output<typeof documentSchema> {
  if (text.length > maxText) throw invalidPolicy(`it is longer than ${maxText} characters`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw invalidPolicy('it is not JSON', cause)
  }
  const result = documentSchema.safeParse(json)
  if (result.success) return result.data
  throw invalidPolicy(reasonOf(result.error.issues))
}

/** Of a union, what the alternative that came furthest says. */
function reasonOf(issues: readonly z.core.$ZodIssue[], above: readonly PropertyKey[] = []): string {
  const [issue] = issues
  if (issue === undefined) return 'document: invalid'
  const path = [...above, ...issue.path]
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const depth = (of: readonly z.core.$ZodIssue[]): number => of[0]?.path.length ?? 0
    const furthest = issue.errors.reduce((best, other) => (depth(other) > depth(best) ? other : best))
    return reasonOf(furthest, path)
  }
  return `${path.map(String).join('.') || 'document'}: ${issue.message.slice(0, 200)}`
}

function policyOf(document: z.output<typeof policySchema>): TrustPolicy {
  return {
    name: document.name ?? document.images.join(', '),
    images: document.images.map(namePattern),
    appliesTo: document.appliesTo,
    mode: document.mode,
    require: document.require.map(requirementOf),
  }
}

function requirementOf(document: z.output<typeof requirementSchema>): Requirement {
  if ('notation' in document) {
    const { certificates, subjects } = document.notation
    return {
      kind: 'notation',
      anchors: parseAnchors(certificates),
      subjects: subjects.map(parseSubjectPattern),
    }
  }
  const { cosign } = document
  if ('keys' in cosign)
    return {
      kind: 'keys',
      keys: cosign.keys.map(parsePublicKey),
      root: cosign.trustedRoot && parseSigstoreRoot(cosign.trustedRoot, 'logs'),
    }
  const { trustedRoot, identities } = cosign.keyless
  return {
    kind: 'keyless',
    root: parseSigstoreRoot(trustedRoot, 'certificates'),
    identities: identities.map(({ issuer, subject }) => ({ issuer, subject: namePattern(subject) })),
  }
}

/** Whether it begins with the tenant's name, as far as it says how it begins. */
function canFit(image: string, tenant: TenantName): boolean {
  const literal = image.split('*', 1)[0] ?? ''
  const wanted = `${tenant}/`
  if (literal === image) return image === tenant || image.startsWith(wanted)
  return literal.startsWith(wanted) || wanted.startsWith(literal)
}

function foreign(image: string, tenant: TenantName): DomainError {
  return invalidPolicy(`images: ${JSON.stringify(image)} fits no repository of ${tenant}`)
}

function invalidPolicy(why: string, cause?: unknown): DomainError {
  return new DomainError(
    'invalid',
    `The trust policy is not valid: ${why}.`,
    { resource: 'rule', name: 'trustPolicy' },
    { cause },
  )
}
