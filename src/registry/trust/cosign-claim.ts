import * as z from 'zod'
import { algorithmOf, type Digest, hexOf } from '../../storage/digest.ts'
import { Untrusted } from './untrusted.ts'

/**
 * cosign/specs/SIGNATURE_SPEC.md, "Simple Signing". What the image is called there is ignored, as the specification
 * wants it: a signature stays good when the image is copied.
 * @throws Untrusted unless the payload is about the image.
 */
export function assertSimpleSigning(payload: Uint8Array, image: Digest): void {
  const { critical } = parse(simpleSigning, payload)
  if (critical.type !== 'cosign container image signature')
    throw new Untrusted('has a payload that is no signature of a container image')
  if (critical.image['docker-manifest-digest'] !== image) throw ofAnother()
}

/**
 * An in-toto statement as `cosign sign` makes it. Others, such as those about how an image was built or what was found
 * in it, may be by the same key, and say something else than that the image is approved.
 * @throws Untrusted unless the statement is about the image.
 */
export function assertStatement(payload: Uint8Array, payloadType: string, image: Digest): void {
  if (payloadType !== 'application/vnd.in-toto+json') throw new Untrusted('has a payload of an unknown type')
  const { _type, predicateType, subject } = parse(statement, payload)
  if (!statementTypes.has(_type)) throw new Untrusted('has a statement of an unknown version')
  if (predicateType !== 'https://sigstore.dev/cosign/sign/v1')
    throw new Untrusted('is an attestation and no signature')
  const algorithm = algorithmOf(image)
  const isSubject = subject.some(
    ({ digest }) => Object.hasOwn(digest, algorithm) && digest[algorithm] === hexOf(image),
  )
  if (!isSubject) throw ofAnother()
}

const simpleSigning = z.looseObject({
  critical: z.looseObject({
    type: z.string(),
    image: z.looseObject({ 'docker-manifest-digest': z.string() }),
  }),
})

const statementTypes: ReadonlySet<string> = new Set([
  'https://in-toto.io/Statement/v1',
  'https://in-toto.io/Statement/v0.1',
])

const statement = z.looseObject({
  _type: z.string(),
  predicateType: z.string(),
  subject: z.array(z.looseObject({ digest: z.record(z.string(), z.string()) })),
})

function parse<Schema extends z.ZodType>(schema: Schema, payload: Uint8Array): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)))
  } catch {
    throw new Untrusted('has a payload that cannot be read')
  }
}

function ofAnother(): Untrusted {
  return new Untrusted('is of another image')
}
